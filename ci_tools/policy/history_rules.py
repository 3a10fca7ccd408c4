"""Rules on the history: what changed since the baseline, and what quarantine forgives."""

from ci_tools.model.verdict import Decision
from ci_tools.policy.question import DETAILS, Answer, Facts, none_of, rule, under
from ci_tools.policy.wording import plural


@rule(Decision.FAILED)
def baseline_present(facts: Facts) -> Answer:
    """Where the policy requires one, there is a baseline to compare with.

    Without it nothing can be called new, and no summary says "no regressions". `ci-tools baseline update` makes one from
    a green run on the default branch.
    """
    is_required = facts.policy.requires_baseline
    actual = f"of {facts.baseline.commit[:12] or 'an unnamed commit'}" if facts.baseline else "no baseline"
    return Answer(
        holds=facts.baseline is not None or not is_required,
        expected="a baseline" if is_required else "a baseline, or none is required",
        actual=actual,
    )


@rule(Decision.FAILED)
def no_new_failures(facts: Facts) -> Answer:
    """No test fails that did not fail in the baseline."""
    if facts.delta is None:
        return Answer(holds=True, expected="no new failure", actual="no baseline to compare with")
    covered = {case.test_id for case in facts.report.cases if facts.forgiveness.covers(case)}
    new = [test_id for test_id in facts.delta.new_failures if test_id not in covered]
    return under(none_of(new, "new failure"), facts.policy.new_failures)


@rule(Decision.FAILED)
def no_new_causes(facts: Facts) -> Answer:
    """No root cause is there that the baseline does not have: a known failing test that fails in a new way is news."""
    if facts.baseline is None:
        return Answer(holds=True, expected="no new cause", actual="no baseline to compare with")
    known = set(facts.baseline.signatures)
    new = [
        f"{cause.signature}: {cause.title}"
        for cause in facts.causes
        if not known & {cause.signature, *cause.aliases} and not facts.forgiveness.covers_all(cause.tests)
    ]
    return under(none_of(new, "new cause", new), facts.policy.new_causes)


@rule(Decision.FAILED)
def no_removed_tests(facts: Facts) -> Answer:
    """Every test of the baseline is still in the run. Deleting a test is one way of making it pass."""
    if facts.delta is None:
        return Answer(holds=True, expected="no removed test", actual="no baseline to compare with")
    return under(none_of(facts.delta.removed, "removed test"), facts.policy.removed_tests)


@rule(Decision.FAILED)
def nothing_newly_skipped(facts: Facts) -> Answer:
    """No test is skipped that ran in the baseline. Skipping a test is another way of making it pass."""
    if facts.delta is None:
        return Answer(holds=True, expected="no newly skipped test", actual="no baseline to compare with")
    return under(none_of(facts.delta.newly_skipped, "newly skipped test"), facts.policy.newly_skipped)


@rule(Decision.FAILED)
def duration_within_limit(facts: Facts) -> Answer:
    """The run took no longer than `max-duration`, and no more than `max-slowdown` times what the baseline took."""
    took = facts.report.duration_s
    limits = []
    if facts.policy.max_duration_s is not None:
        limits.append(facts.policy.max_duration_s)
    if facts.policy.max_slowdown is not None and facts.baseline is not None and facts.baseline.duration_s > 0:
        limits.append(facts.policy.max_slowdown * facts.baseline.duration_s)
    if not limits:
        return Answer(holds=True, expected="no limit", actual=f"{took:.1f} s")
    return Answer(holds=took <= min(limits), expected=f"at most {min(limits):.1f} s", actual=f"{took:.1f} s")


# Quarantine.


@rule(Decision.FAILED)
def quarantine_valid(facts: Facts) -> Answer:
    """Every quarantine entry names test, signature, owner, reason, issue and last day, and that day is not over.

    An entry that is expired or incomplete forgives nothing. Renew it with a new date, or mend the test.
    """
    invalid = facts.forgiveness.invalid
    return Answer(
        holds=not invalid,
        expected="every entry whole and not expired",
        actual=f"{len(invalid)} not" if invalid else plural(len(facts.policy.quarantine), "entry", "entries"),
        details=invalid[:DETAILS],
    )


@rule(Decision.FAILED)
def quarantine_within_cap(facts: Facts) -> Answer:
    """No more than `quarantine-cap` failing tests are forgiven by quarantine; a cap of 0 switches quarantine off.

    Quarantine never covers crashed or lost tests, files that cannot be collected, or a failure with another signature.
    """
    forgiven = facts.forgiveness.tests
    return Answer(
        holds=len(forgiven) <= facts.policy.quarantine_cap,
        expected=f"at most {plural(facts.policy.quarantine_cap, 'forgiven test')}",
        actual=str(len(forgiven)),
        details=tuple(sorted(forgiven))[:DETAILS],
    )


@rule(Decision.FAILED)
def quarantine_needed(facts: Facts) -> Answer:
    """Quarantined tests that pass again are named, so that the entry is lifted. Never breaks the verdict."""
    lift = facts.forgiveness.to_lift
    return Answer(
        holds=True,
        expected="quarantined tests still fail (only said)",
        actual=f"{plural(len(lift), 'test')} passes again" if lift else "none passes again",
        details=tuple(f"{test_id} passes again: lift it" for test_id in lift)[:DETAILS],
    )
