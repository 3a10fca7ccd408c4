"""Rules on the results: counts, skips, required tests, hollow passes and flaky tests."""

import fnmatch
from datetime import date

from ci_tools.model.case import Case, Outcome
from ci_tools.model.policy import Policy
from ci_tools.model.verdict import Decision
from ci_tools.policy.question import DETAILS, Answer, Facts, at_most, limited, names_of, none_of, rule, under
from ci_tools.policy.wording import listed, percent, plural


@rule(Decision.FAILED)
def tests_executed(facts: Facts) -> Answer:
    """At least `min-executed` tests ran, and never fewer than one.

    A selection that matches nothing, a file without tests and a suite that skips itself are no success. Only a shard to
    which the plan gives nothing may be empty; the gate over all shards may not.
    """
    if facts.report.is_planned_empty and not facts.report.cases:
        return Answer(holds=True, expected="nothing is planned here", actual="0")
    least = max(1, facts.policy.min_executed)
    executed = sum(1 for case in facts.report.cases if case.outcome.is_executed)
    return Answer(holds=executed >= least, expected=f"at least {plural(least, 'executed test')}", actual=str(executed))


@rule(Decision.FAILED)
def failures_within_limit(facts: Facts) -> Answer:
    """No more than `max-failures` tests failed or timed out (0 unless the policy says otherwise).

    Errors are counted apart. Quarantined tests that fail in their known way are not counted.
    """
    return limited(facts.with_outcome(Outcome.FAILED, Outcome.TIMED_OUT), facts.policy.max_failures, "failure")


@rule(Decision.FAILED)
def errors_within_limit(facts: Facts) -> Answer:
    """No more than `max-errors` tests ended in an error around them or crashed their worker (0 unless the policy says more)."""
    return limited(facts.with_outcome(Outcome.ERROR, Outcome.CRASHED), facts.policy.max_errors, "error")


@rule(Decision.FAILED)
def pass_rate(facts: Facts) -> Answer:
    """At least `min-pass-rate` of the *expected* tests passed.

    Lost, skipped and failed tests are all in the denominator. Percentages are cut, never rounded up.
    """
    passed = sum(1 for case in facts.report.cases if case.outcome is Outcome.PASSED)
    total = max(facts.report.expected, len(facts.report.cases))
    least = facts.policy.min_pass_rate
    actual = f"{percent(passed, total)} ({passed}/{total})"
    if least is None:
        return Answer(holds=True, expected="no limit", actual=actual)
    return Answer(
        holds=total > 0 and passed >= least * total,
        expected=f"at least {least:.1%} of {plural(total, 'expected test')}",
        actual=actual,
    )


@rule(Decision.FAILED)
def skips_within_limit(facts: Facts) -> Answer:
    """No more tests were skipped than `max-skipped` and `max-skipped-rate` (of the expected tests) allow."""
    skipped = facts.with_outcome(Outcome.SKIPPED)
    limits = []
    if facts.policy.max_skipped is not None:
        limits.append(facts.policy.max_skipped)
    if facts.policy.max_skipped_rate is not None:
        limits.append(int(facts.policy.max_skipped_rate * facts.report.expected))
    return limited(skipped, min(limits, default=None), "skipped test")


@rule(Decision.FAILED)
def skip_reasons_known(facts: Facts) -> Answer:
    """Every skip has a reason that the policy knows, where it lists any.

    `skip-reasons` are patterns with an owner and a last day; a skip whose reason matches none of those that are still
    valid breaks the rule. An empty list allows any reason.
    """
    skipped = facts.with_outcome(Outcome.SKIPPED)
    if not facts.policy.skip_reasons:
        return Answer(holds=True, expected="any reason", actual=plural(len(skipped), "skipped test"))
    valid = [reason.pattern for reason in facts.policy.skip_reasons if _is_valid_until(reason.expires, facts.today)]
    unknown = [
        f"{case.test_id}: {_reason(case) or 'no reason'}"
        for case in skipped
        if not any(fnmatch.fnmatchcase(_reason(case), pattern) for pattern in valid)
    ]
    return none_of(unknown, "skip without a known reason", unknown)


@rule(Decision.FAILED)
def no_unexpected_passes(facts: Facts) -> Answer:
    """No test passed that is marked to fail.

    A strict xfail that passes is news: either it was mended, and the mark must go, or it tests nothing.
    """
    passed = facts.with_outcome(Outcome.XPASSED)
    return under(none_of(names_of(passed), "unexpected pass"), facts.policy.xpassed)


@rule(Decision.FAILED)
def required_tests_passed(facts: Facts) -> Answer:
    """Each of `required-tests` (test IDs or patterns) is matched by at least one test, and all that match passed.

    Flaky passes do not count where the policy allows no flaky test.
    """
    missing: list[str] = []
    passed: set[str] = set()
    for pattern in facts.policy.required_tests:
        matched = [case for case in facts.report.cases if case.test_id == pattern or fnmatch.fnmatchcase(case.test_id, pattern)]
        if not matched:
            missing.append(f"{pattern}: no such test in this run")
        for case in matched:
            if case.outcome is not Outcome.PASSED:
                missing.append(f"{case.test_id} did not pass")
            elif case.is_flaky and facts.policy.max_flaky == 0:
                missing.append(f"{case.test_id} passed only after a failed attempt")
            else:
                passed.add(case.test_id)
    asked = len(facts.policy.required_tests)
    return Answer(
        holds=not missing,
        expected=f"{plural(asked, 'required test or pattern', 'required tests or patterns')} passed"
        if asked
        else "none is required",
        actual=f"{len(missing)} not" if missing else f"{plural(len(passed), 'test')} passed",
        details=tuple(missing)[:DETAILS],
    )


@rule(Decision.FAILED)
def required_markers_passed(facts: Facts) -> Answer:
    """For each of `required-markers` (pytest's marks) there is a test that has it, and all that have it passed.

    A release whose smoke tests were deselected, skipped or unmarked proves nothing by being green. `ci-tools run` and
    pytest with the plugin write down which tests have the marks that a profile requires; of a foreign file the property
    `markers` of a test counts, names with spaces between.
    """
    wrong = []
    names = facts.policy.required_markers
    for name in names:
        marked = [case for case in facts.report.cases if name in _markers(case)]
        if not marked:
            wrong.append(f"{name}: no test of this run has it")
        wrong.extend(f"{name}: {case.test_id} did not pass" for case in marked if case.outcome is not Outcome.PASSED)
    return Answer(
        holds=not wrong,
        expected=f"a test of each, all passed: {listed(names)}" if names else "none is required",
        actual=f"{len(wrong)} not" if wrong else "as expected" if names else "not asked",
        details=tuple(wrong)[:DETAILS],
    )


@rule(Decision.INCOMPLETE)
def required_configurations_ran(facts: Facts) -> Answer:
    """Each of `required-configurations` has results."""
    wanted = facts.policy.required_configurations
    there = sorted({case.configuration for case in facts.report.cases if case.outcome.is_executed})
    missing = [name for name in wanted if name not in there]
    return Answer(
        holds=not missing,
        expected=listed(wanted) or "none is required",
        actual=listed(there) or "none",
        details=tuple(f"nothing ran in configuration {name}" for name in missing),
    )


# Vacuity.


@rule(Decision.FAILED)
def no_hollow_passes(facts: Facts) -> Answer:
    """No more than `max-hollow` tests passed without showing that they tested anything.

    Hollow is a pass that a guard marked so (`hollow` among its properties), that executed no assertion (`assertions` is
    0), or whose call took less than `min-call` and less than a tenth of what the baseline remembers. A time of 0.00 s alone
    proves nothing.
    """
    tests = facts.baseline.tests if facts.baseline else ()
    remembered = {(test.configuration, test.test_id): test.duration_s for test in tests}
    passed = (case for case in facts.report.cases if case.outcome is Outcome.PASSED)
    reasons = (
        (case.test_id, _hollowness(case, facts.policy, remembered.get((case.configuration, case.test_id), 0.0)))
        for case in passed
    )
    hollow = [f"{test_id}: {why}" for test_id, why in reasons if why]
    answer = at_most(len(hollow), facts.policy.max_hollow, "hollow pass", tuple(hollow))
    return under(answer, facts.policy.hollow)


# Retries and flaky tests.


@rule(Decision.FAILED)
def flaky_within_limit(facts: Facts) -> Answer:
    """No more than `max-flaky` tests passed only after a failed attempt.

    The last attempt decides whether a test passed; a pass after a failure has its own column and is never a plain pass.
    """
    return limited(facts.report.flaky, facts.policy.max_flaky, "flaky test")


@rule(Decision.FAILED)
def no_new_flaky(facts: Facts) -> Answer:
    """No test is flaky that the baseline does not know as flaky."""
    if facts.delta is None:
        return Answer(holds=True, expected="no new flaky test", actual="no baseline to compare with")
    return under(none_of(facts.delta.new_flaky, "new flaky test"), facts.policy.new_flaky)


def _reason(case: Case) -> str:
    return case.attempts[-1].reason if case.attempts else ""


def _markers(case: Case) -> list[str]:
    return case.attempts[-1].properties.get("markers", "").split() if case.attempts else []


def _is_valid_until(text: str, today: date) -> bool:
    try:
        return date.fromisoformat(text) >= today
    except ValueError:
        return False


def _hollowness(case: Case, policy: Policy, remembered_s: float) -> str:
    attempt = case.attempts[-1]
    if attempt.properties.get("hollow"):
        return attempt.properties["hollow"]
    if attempt.properties.get("assertions") == "0":
        return "no assertion was executed"
    if policy.min_call_s > 0 and attempt.call_s < policy.min_call_s and attempt.duration_s * 10 < remembered_s:
        return f"{attempt.call_s:.3f} s, the baseline took {remembered_s:.3f} s"
    return ""
