"""The judge: one verdict, its exit code and a headline that says the worst truth first."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_sample import (
    NOW,
    A,
    B,
    baseline,
    case,
    cause,
    entry,
    house_error,
    known,
    not_collected,
    run,
    with_shard,
    worker,
)

from ci_tools.errors import PRECEDENCE, ExitCode
from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps, loads
from ci_tools.model.policy import PROFILES, RELEASE, Policy
from ci_tools.model.report import EndedBy, RunReport
from ci_tools.model.verdict import Decision, HouseError, Verdict
from ci_tools.policy import judge as judging
from ci_tools.policy.judge import judge
from ci_tools.policy.question import Answer, Facts, Rule
from ci_tools.policy.rules import RULES
from ci_tools.policy.wording import change, listed, percent, plural

KILLED = worker(returncode=-9, ended_by=EndedBy.SIGNAL, finished=False)


def verdict(report: RunReport, policy: Policy | None = None, **fields: object) -> Verdict:
    """The verdict under the default policy."""
    return judge(report, policy or Policy(), now=NOW, **fields)  # type: ignore[arg-type] # passed on


def test_a_whole_green_run_is_passed() -> None:
    """Everything passed, nothing is missing: passed, 0, PASS a/b."""
    result = verdict(run())
    assert (result.decision, result.exit_code, result.headline) == (Decision.PASSED, 0, "PASS 2/2 passed")


def test_every_rule_is_in_the_verdict() -> None:
    """Also the rules that hold are printed, with expected and actual."""
    assert [result.rule for result in verdict(run()).rules] == [rule.id for rule in RULES]


def test_the_headline_counts_causes_and_missing_shards() -> None:
    """Failures with their causes first, then what is missing."""
    report = run(
        case(A),
        *(case(f"t{number}", Outcome.FAILED) for number in range(17)),
        missing_shards=("2/4", "3/4"),
        expected_shards=("1/4", "2/4", "3/4", "4/4"),
    )
    causes = tuple(cause(f"t{number}", signature=f"sig-v1:{number}") for number in range(3))
    result = verdict(report, causes=causes)
    assert result.headline == "FAIL 1/18 passed – 17 not passing from 3 causes; 2 of 4 shards missing"
    assert (result.decision, result.exit_code) == (Decision.INCOMPLETE, 11)


@pytest.mark.parametrize(
    ("report", "decision", "code", "headline"),
    [
        (run(case(A, Outcome.FAILED), case(B)), Decision.FAILED, 10, "FAIL 1/2 passed – 1 not passing"),
        (run(case(A, Outcome.TIMED_OUT), case(B)), Decision.FAILED, 10, "FAIL 1/2 passed – 1 not passing"),
        (
            with_shard(run(case(A, Outcome.CRASHED), case(B)), exits=(KILLED, worker())),
            Decision.FAILED,
            10,
            "FAIL 1/2 passed – 1 not passing; 1 worker ended early",
        ),
        (
            with_shard(run(case(A, Outcome.CRASHED), case(B, Outcome.LOST)), exits=(KILLED,)),
            Decision.INCOMPLETE,
            13,
            "FAIL 0/2 passed – 2 not passing, 1 of them lost; 1 worker ended early",
        ),
        (with_shard(run(), exits=(KILLED,)), Decision.FAILED, 10, "FAIL 2/2 passed – 1 worker ended early"),
        (run(case(A), case(B, Outcome.LOST)), Decision.INCOMPLETE, 11, "INCOMPLETE 1/2 passed – 1 not passing, 1 of them lost"),
        (run(corrupt=("a.xml is empty",)), Decision.INCOMPLETE, 11, "INCOMPLETE 2/2 passed – 1 broken input"),
        (run(interrupted_by="SIGINT"), Decision.INCOMPLETE, 130, "INCOMPLETE 2/2 passed – interrupted by SIGINT"),
        (run(interrupted_by="SIGTERM"), Decision.INCOMPLETE, 143, "INCOMPLETE 2/2 passed – interrupted by SIGTERM"),
        (run(collection_errors=(not_collected(),)), Decision.FAILED, 10, "FAIL 2/2 passed – 1 file not collected"),
        (run(case(A), case(B, Outcome.SKIPPED)), Decision.PASSED, 0, "PASS 1/2 passed – 1 skipped"),
        (run(case(A), case(B, Outcome.FAILED, Outcome.PASSED)), Decision.PASSED, 0, "PASS 1/2 passed – 1 flaky"),
        (run(is_complete_proven=False), Decision.PASSED, 0, "PASS 2/2 passed – completeness not proven"),
        (
            run(expected=3),
            Decision.ERROR,
            1,
            "ERROR 2/3 passed – counts-add-up: 2 results of 2 tests, expected 3 results of 3 tests",
        ),
    ],
)
def test_decisions(report: RunReport, decision: Decision, code: int, headline: str) -> None:
    """Failed, incomplete and error are told apart, each with its documented exit code."""
    result = verdict(report)
    assert (result.decision, result.exit_code, result.headline) == (decision, code, headline)


def test_nothing_ran_is_never_passed() -> None:
    """A run without any test fails, under every profile."""
    empty = replace(run(), cases=(), expected=0)
    assert {judge(empty, policy, now=NOW).decision for policy in PROFILES.values()} == {Decision.FAILED}


@pytest.mark.parametrize(
    ("code", "decision"),
    [
        (ExitCode.USAGE, Decision.ERROR),
        (ExitCode.FAULT, Decision.ERROR),
        (ExitCode.SERVICE, Decision.INCOMPLETE),
        (ExitCode.QUEUE, Decision.INCOMPLETE),
        (ExitCode.WORKERS, Decision.INCOMPLETE),
    ],
)
def test_errors_around_the_tests_have_their_own_code(code: ExitCode, decision: Decision) -> None:
    """A service that did not start never hides behind green tests, and keeps its exit code."""
    result = verdict(run(), errors=(house_error(code),))
    assert (result.decision, result.exit_code) == (decision, int(code))
    assert "redis did not answer" in result.headline


def test_the_most_severe_code_wins() -> None:
    """Where several rules break, the documented precedence decides."""
    report = with_shard(run(case(A, Outcome.FAILED), case(B, Outcome.LOST), interrupted_by="SIGINT"), exits=(KILLED,))
    result = verdict(report, errors=(house_error(),))
    codes = {ExitCode(rule.exit_code) for rule in result.rules if not rule.holds}
    assert codes == {ExitCode.INTERRUPTED, ExitCode.SERVICE, ExitCode.WORKERS, ExitCode.INCOMPLETE, ExitCode.FAILED}
    assert result.exit_code == min(codes, key=PRECEDENCE.index)


def test_a_rule_that_breaks_down_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules fail closed: an exception in one makes the verdict *error*."""

    def breaks(_: Facts) -> Answer:
        message = "no such key"
        raise KeyError(message)

    broken = Rule(id="odd", ask=breaks, breach=Decision.FAILED, exit_code=ExitCode.FAILED, doc="Odd.")
    monkeypatch.setattr(judging, "RULES", [*RULES, broken])
    result = verdict(run())
    assert (result.decision, result.exit_code, result.rules[-1].actual) == (Decision.ERROR, 1, "KeyError: 'no such key'")


def test_flaky_is_its_own_column() -> None:
    """A pass after a failure is not among the passed, and fails the release profile."""
    report = run(case(A), case(B, Outcome.FAILED, Outcome.PASSED))
    result = verdict(report)
    assert ({name: count for name, count in result.counts.items() if count}, result.flaky) == ({"passed": 1, "flaky": 1}, (B,))
    assert verdict(report, RELEASE).decision is Decision.FAILED


def test_the_release_profile_wants_a_plan_and_knows_no_quarantine() -> None:
    """A release needs proven completeness, and an entry forgives nothing there."""
    assert verdict(run(is_complete_proven=False), RELEASE).decision is Decision.INCOMPLETE
    report, policy = run(case(A, Outcome.FAILED), case(B)), replace(RELEASE, quarantine=(entry(),))
    assert verdict(report, policy, causes=(cause(A),)).decision is Decision.FAILED


def test_quarantine_forgives_the_known_failure_only() -> None:
    """The test with the entry's signature does not gate; with another one, crashed or lost it does."""
    policy = Policy(quarantine=(entry(),))

    def decision(outcome: Outcome, *signatures: str) -> Decision:
        causes = tuple(cause(A, signature=signature) for signature in signatures)
        return verdict(run(case(A, outcome), case(B), returncode=1), policy, causes=causes).decision

    known_signature = entry().signature
    assert decision(Outcome.FAILED, known_signature) is Decision.PASSED
    assert decision(Outcome.ERROR, known_signature) is Decision.PASSED
    assert decision(Outcome.FAILED, "sig-v1:other") is Decision.FAILED
    assert decision(Outcome.FAILED, known_signature, "sig-v1:other") is Decision.FAILED
    assert decision(Outcome.FAILED) is Decision.FAILED
    assert decision(Outcome.CRASHED, known_signature) is Decision.FAILED
    assert decision(Outcome.LOST, known_signature) is Decision.INCOMPLETE


def test_a_quarantined_test_that_passes_again_is_noted() -> None:
    """Whoever reads the summary of a green run learns which entry is to go."""
    notes = verdict(run(case(A), case(B)), Policy(quarantine=(entry(),))).notes
    assert f"quarantined test {A} passes again: lift its entry" in notes


def test_a_quarantined_failure_is_in_the_headline() -> None:
    """What is forgiven is said."""
    report = run(case(A, Outcome.FAILED), case(B))
    assert verdict(report, Policy(quarantine=(entry(),)), causes=(cause(A),)).headline == "PASS 1/2 passed – 1 in quarantine"


def test_an_entry_for_another_configuration_forgives_nothing() -> None:
    """An entry that names a configuration counts there only."""
    policy = Policy(quarantine=(entry(configuration="postgres"),))
    assert verdict(run(case(A, Outcome.FAILED)), policy, causes=(cause(A),)).decision is Decision.FAILED


def test_notes_say_what_changed_since_the_baseline() -> None:
    """Fixed, newly failing, new and removed tests are named, with the baseline's age and two figures, never a ratio."""
    before = baseline(known(A, Outcome.FAILED), known("tests/test_a.py::test_gone"))
    result = verdict(run(case(A), case(B)), baseline=before)
    assert result.notes == (
        "against the baseline of beef (1 day old): +1 (1 → 2) passed",
        f"1 fixed: {A}",
        f"1 new: {B}",
        "1 removed: tests/test_a.py::test_gone",
    )


def test_without_a_baseline_the_verdict_says_so() -> None:
    """Nothing is called new, fixed or free of regressions."""
    assert verdict(run()).notes == ("no baseline: nothing can be called new or fixed",)


def test_the_verdict_has_a_json_form() -> None:
    """A verdict with everything in it comes back as it was."""
    report = run(case(A, Outcome.FAILED, Outcome.PASSED), case(B, Outcome.FAILED))
    result = verdict(report, Policy(quarantine=(entry(),)), causes=(cause(B),), errors=(HouseError(exit_code=12, what="x"),))
    assert loads(Verdict, dumps(result)) == result


@given(st.lists(st.sampled_from(list(Outcome)), max_size=12), st.booleans())
def test_only_green_runs_pass(outcomes: list[Outcome], is_proven: bool) -> None:
    """The verdict is passed if and only if every outcome is green and at least one test was executed."""
    cases = tuple(case(f"t{number}", outcome) for number, outcome in enumerate(outcomes))
    report = replace(run(*cases), cases=cases, expected=len(cases), is_complete_proven=is_proven)
    is_green = all(outcome.is_green for outcome in outcomes) and any(outcome.is_executed for outcome in outcomes)
    result = verdict(report)
    assert (result.decision is Decision.PASSED, result.exit_code == 0) == (is_green, is_green)
    assert sum(result.counts.values()) == result.expected == len(outcomes)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_percentages_are_cut(part: int, whole: int) -> None:
    """Only the whole is 100 %; nothing is rounded up."""
    whole = max(part, whole)
    text = percent(part, whole)
    assert (text == "100.0 %") == (part == whole > 0)
    assert float(text.removesuffix(" %")) * whole <= part * 100 + 1e-6


def test_wording() -> None:
    """Plurals, changes from zero and long lists."""
    assert (plural(1, "test"), plural(0, "entry", "entries"), change(0, 18)) == ("1 test", "0 entries", "+18 (0 → 18)")
    assert (percent(1, 18), percent(9999, 10000), percent(0, 0), listed("abcdefg")) == (
        "5.5 %",
        "99.9 %",
        "0.0 %",
        "a, b, c, d, e and 2 more",
    )


def test_a_shard_that_is_planned_empty_passes_and_says_so() -> None:
    """A shard to which the plan gives nothing is a success that names its reason."""
    result = verdict(replace(run(), cases=(), expected=0, is_planned_empty=True))
    assert (result.decision, result.headline) == (
        Decision.PASSED,
        "PASS 0 tests – nothing is planned here, the suite has fewer pieces than shards",
    )
