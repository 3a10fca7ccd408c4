"""Rules on the history: what changed since the baseline, and what quarantine forgives."""

from ci_tools.model.case import Outcome
from ci_tools.model.verdict import Decision
from ci_tools.policy.chance import chance_of_drop
from ci_tools.policy.question import DETAILS, Answer, Facts, none_of, rule, under
from ci_tools.policy.wording import percent, plural

_FEWEST = 10
"""Executed tests below which a share says nothing."""


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
def no_regression(facts: Facts) -> Answer:
    """Fewer tests pass than in the baseline only so far as chance explains it (Fisher's exact test, one-sided).

    For suites in which single failures are expected: the rule breaks when the chance of a drop this large, from a suite
    that is no worse, is below `max-regression-chance` (0.05 is usual). Fewer than 10 executed tests on either side are
    too few to tell: the rule says so and does not hold, for no proof is no pass.
    """
    limit = facts.policy.max_regression_chance
    if facts.baseline is None or limit is None:
        return Answer(
            holds=True,
            expected="no limit" if limit is None else f"a chance of at least {limit:g}",
            actual="not asked" if limit is None else "no baseline to compare with",
        )
    now = [case.outcome for case in facts.report.cases if case.outcome.is_executed]
    before = [test.outcome for test in facts.baseline.tests if test.outcome.is_executed]
    passed, passed_before = now.count(Outcome.PASSED), before.count(Outcome.PASSED)
    figures = f"{passed}/{len(now)} passed, {passed_before}/{len(before)} before"
    expected = f"a chance of at least {limit:g}"
    if min(len(now), len(before)) < _FEWEST:
        return Answer(holds=False, expected=expected, actual=f"insufficient data: {figures}")
    chance = chance_of_drop(passed, len(now), passed_before, len(before))
    return Answer(holds=chance >= limit, expected=expected, actual=f"{chance:.4f}: {figures}")


@rule(Decision.FAILED)
def executed_as_before(facts: Facts) -> Answer:
    """No fewer tests ran than `max-executed-drop` allows, as a share of those that ran in the baseline.

    A selection, a matrix or a skip that lost a part of the suite shows here, whatever became of the single tests.
    """
    executed = sum(1 for case in facts.report.cases if case.outcome.is_executed)
    limit = facts.policy.max_executed_drop
    if facts.baseline is None or limit is None:
        return Answer(
            holds=True,
            expected="no limit" if limit is None else f"at most {percent(round(limit * 1000), 1000)} fewer",
            actual=str(executed) if limit is None else f"{executed}, no baseline to compare with",
        )
    before = sum(1 for test in facts.baseline.tests if test.outcome.is_executed)
    return Answer(
        holds=executed >= before * (1 - limit),
        expected=f"at most {percent(round(limit * 1000), 1000)} fewer than {before}",
        actual=str(executed),
    )


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
