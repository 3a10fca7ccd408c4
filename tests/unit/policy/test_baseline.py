"""The baseline: made from a green run only, and compared test by test."""

import pytest
from policy_sample import NOW, A, B, C, baseline, case, cause, entry, known, run

from ci_tools.errors import UsageError
from ci_tools.model.case import Outcome
from ci_tools.model.policy import Policy
from ci_tools.policy.baseline import Delta, compare, make_baseline
from ci_tools.policy.judge import judge


def test_a_green_run_makes_a_baseline() -> None:
    """Outcomes, durations, flaky tests and the causes of what is forgiven are remembered."""
    report = run(case(A, Outcome.FAILED), case(B, Outcome.FAILED, Outcome.PASSED))
    verdict = judge(report, Policy(quarantine=(entry(),)), now=NOW, causes=(cause(A),))
    made = make_baseline(report, verdict, verdict.causes, now=NOW)
    assert [(test.test_id, test.outcome, test.is_flaky, test.signatures) for test in made.tests] == [
        (A, Outcome.FAILED, False, (cause().signature,)),
        (B, Outcome.PASSED, True, ()),
    ]
    assert (made.commit, made.created_at, made.duration_s, made.signatures) == ("c0ffee", NOW, 10.0, (cause().signature,))


def test_a_red_run_makes_none() -> None:
    """A run that is not passed must not become the measure."""
    report = run(case(A, Outcome.FAILED))
    with pytest.raises(UsageError, match="the verdict is failed, expected passed"):
        make_baseline(report, judge(report, Policy(), now=NOW), (), now=NOW)


def test_every_change_has_its_name() -> None:
    """New, fixed, still and newly failing, removed, newly skipped and newly flaky tests are told apart."""
    names = [f"t{number}" for number in range(8)]
    before = baseline(
        known(names[0]),
        known(names[1], Outcome.FAILED),
        known(names[2], Outcome.ERROR),
        known(names[3]),
        known(names[4]),
        known(names[5], is_flaky=True),
        known(names[6]),
    )
    after = run(
        case(names[0], Outcome.FAILED),
        case(names[1]),
        case(names[2], Outcome.FAILED),
        case(names[4], Outcome.SKIPPED),
        case(names[5], Outcome.FAILED, Outcome.PASSED),
        case(names[6], Outcome.FAILED, Outcome.PASSED),
        case(names[7]),
    )
    assert compare(after, before) == Delta(
        new_failures=("t0",),
        still_failing=("t2",),
        fixed=("t1",),
        new_tests=("t7",),
        removed=("t3",),
        newly_skipped=("t4",),
        new_flaky=("t6",),
    )


def test_a_test_in_two_configurations_is_two_tests() -> None:
    """What failed in one configuration only is a new failure in the other."""
    before = baseline(known(C, Outcome.FAILED, configuration="postgres"))
    assert compare(run(case(C, Outcome.FAILED)), before).new_failures == (C,)
