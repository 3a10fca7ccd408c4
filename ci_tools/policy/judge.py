"""The judge: every rule is asked, nothing is forgiven that the policy does not name, and one verdict comes out.

Pure: the same report, policy and time give the same verdict, so that it can be recomputed elsewhere.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from ci_tools.errors import ExitCode, most_severe
from ci_tools.model.case import Outcome
from ci_tools.model.policy import DEFAULT_PROFILE, Baseline, Policy
from ci_tools.model.report import RunReport, newest_of
from ci_tools.model.verdict import Cause, Decision, HouseError, Input, RuleResult, Verdict
from ci_tools.policy.baseline import Delta, compare
from ci_tools.policy.quarantine import forgive
from ci_tools.policy.question import Answer, Facts, Rule
from ci_tools.policy.rules import RULES
from ci_tools.policy.wording import change, listed, plural

_WORST = (Decision.ERROR, Decision.INCOMPLETE, Decision.FAILED)
_TOLD = frozenset(
    {
        "house-in-order",
        "not-interrupted",
        "shards-present",
        "tests-accounted-for",
        "nothing-unplanned",
        "nothing-duplicated",
        "one-run",
        "reports-whole",
        "workers-finished",
        "files-collected",
        "failures-within-limit",
        "errors-within-limit",
    }
)
"""Rules whose breach the headline says in words; of any others it names the first."""

_WORDS = {Decision.PASSED: "PASS", Decision.FAILED: "FAIL", Decision.INCOMPLETE: "INCOMPLETE", Decision.ERROR: "ERROR"}


def judge(
    report: RunReport,
    policy: Policy,
    *,
    now: float,
    profile: str = DEFAULT_PROFILE,
    causes: Sequence[Cause] = (),
    baseline: Baseline | None = None,
    inputs: Sequence[Input] = (),
    errors: Sequence[HouseError] = (),
    tool_version: str = "",
) -> Verdict:
    """The verdict on ``report`` under ``policy`` at ``now`` (seconds since 1970).

    ``causes`` must be those found in the same report: quarantine is held against their signatures. ``errors`` is what
    went wrong around the tests. A rule that raises makes the verdict *error*; nothing makes it neutral.
    """
    delta = compare(report, baseline) if baseline else None
    facts = Facts(
        report=report,
        policy=policy,
        causes=tuple(causes),
        forgiveness=forgive(report, causes, policy, today=_today(now)),
        now=now,
        delta=delta,
        baseline=baseline,
        errors=tuple(errors),
    )
    results = tuple(_ask(rule, facts) for rule in RULES)
    broken = [result for result in results if not result.holds]
    decision = next((worst for worst in _WORST if any(result.breach is worst for result in broken)), Decision.PASSED)
    code = most_severe([ExitCode(result.exit_code) for result in broken])
    return Verdict(
        decision=decision,
        exit_code=int(code),
        headline=_headline(facts, decision, broken),
        rules=results,
        run_id=report.run_id,
        commit=report.commit,
        plan_digest=report.plan_digest,
        profile=profile,
        is_complete_proven=report.is_complete_proven,
        expected=report.expected,
        counts=_counts(report),
        flaky=tuple(case.test_id for case in report.flaky),
        causes=tuple(causes),
        inputs=tuple(sorted(inputs, key=lambda item: item.path)),
        services=report.services,
        tool_version=tool_version,
        created_at=now,
        duration_s=report.duration_s,
        notes=tuple(_notes(facts)),
        policy=policy,
        baseline_commit=baseline.commit if baseline else "",
        errors=tuple(errors),
    )


def _today(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).date()


def _ask(rule: Rule, facts: Facts) -> RuleResult:
    try:
        answer = rule.ask(facts)
    except Exception as error:  # noqa: BLE001 - fail closed: a rule that breaks down does not hold
        answer = Answer(
            holds=False,
            expected="an answer",
            actual=f"{type(error).__name__}: {error}",
            breach=Decision.ERROR,
            exit_code=ExitCode.FAULT,
        )
    breach = answer.breach or rule.breach
    code = answer.exit_code or rule.exit_code
    return RuleResult(
        rule=rule.id,
        holds=answer.holds,
        expected=answer.expected,
        actual=answer.actual,
        breach=breach,
        exit_code=0 if answer.holds else int(code),
        details=answer.details,
    )


def _counts(report: RunReport) -> dict[str, int]:
    """Every outcome, and flaky apart from passed."""
    counts = {outcome.value: count for outcome, count in report.counts.items()}
    flaky = len(report.flaky)
    counts[Outcome.PASSED.value] -= flaky
    return {**counts, "flaky": flaky}


def _headline(facts: Facts, decision: Decision, broken: Sequence[RuleResult]) -> str:
    """The worst truth first: ``FAIL 1/18 passed – 17 not passing from 3 causes; 2 of 4 shards missing``."""
    report = facts.report
    unplanned = set(report.unexpected)
    planned = [case for case in report.cases if case.test_id not in unplanned]
    passed = sum(1 for case in planned if case.outcome is Outcome.PASSED and not case.is_flaky)
    bad = [case for case in report.cases if not case.outcome.is_green and not facts.forgiveness.covers(case)]
    is_said_no = any(case.outcome is not Outcome.LOST for case in bad) or bool(report.collection_errors)
    word = "FAIL" if decision is Decision.INCOMPLETE and is_said_no else _WORDS[decision]
    head = f"{word} {passed}/{report.expected} passed" if report.expected or bad else f"{word} 0 tests"
    parts = list(_parts(facts, len(bad)))
    if report.is_planned_empty and decision is Decision.PASSED:
        parts.append("nothing is planned here, the suite has fewer pieces than shards")
    if not any(result.rule in _TOLD for result in broken):
        parts.extend(f"{result.rule}: {result.actual}, expected {result.expected}" for result in broken[:2])
    tail = list(_tail(facts))
    said = "; ".join([*([", ".join(parts)] if parts else []), *tail])
    return f"{head} – {said}" if said else head


def _parts(facts: Facts, bad: int) -> Iterator[str]:
    report = facts.report
    if bad:
        causes = [cause for cause in facts.causes if not facts.forgiveness.covers_all(cause.tests)]
        source = f" from {plural(len(causes), 'cause')}" if causes else ""
        yield f"{bad} not passing{source}"
    lost = sum(1 for case in report.cases if case.outcome is Outcome.LOST)
    if lost:
        yield f"{lost} of them lost"
    if report.collection_errors:
        yield f"{plural(len(report.collection_errors), 'file')} not collected"


def _tail(facts: Facts) -> Iterator[str]:
    report = facts.report
    if report.interrupted_by:
        yield f"interrupted by {report.interrupted_by}"
    if facts.errors:
        yield listed([error.what.splitlines()[0] for error in facts.errors], 1)
    if report.missing_shards:
        yield f"{len(report.missing_shards)} of {plural(len(report.expected_shards), 'shard')} missing"
    ended = sum(1 for shard in newest_of(report.shards).values() for exit_ in shard.exits if not exit_.finished_session)
    yield from (
        plural(count, noun, many)
        for count, noun, many in (
            (len(report.corrupt), "broken input", ""),
            (len(report.unexpected), "unplanned test", ""),
            (len(report.duplicated), "duplicated test", ""),
            (len(report.problems), "contradiction", ""),
            (ended, "worker ended early", "workers ended early"),
            (len(report.flaky), "flaky", "flaky"),
            (report.counts[Outcome.SKIPPED], "skipped", "skipped"),
            (report.counts[Outcome.XFAILED], "xfailed", "xfailed"),
            (len(facts.forgiveness.tests), "in quarantine", "in quarantine"),
        )
        if count
    )
    if not report.is_complete_proven:
        yield "completeness not proven"


def _notes(facts: Facts) -> Iterator[str]:
    report = facts.report
    if not report.is_complete_proven:
        yield "completeness not proven: no plan says what should have run"
    yield from (f"{name} was given more than once and counted once" for name in report.repeated_inputs)
    yield from report.warnings
    yield from (f"quarantined test {test_id} passes again: lift its entry" for test_id in facts.forgiveness.to_lift)
    if facts.baseline is None or facts.delta is None:
        yield "no baseline: nothing can be called new or fixed"
    else:
        yield from _compared(facts, facts.baseline, facts.delta)


def _compared(facts: Facts, baseline: Baseline, delta: Delta) -> Iterator[str]:
    days = max(0, int((facts.now - baseline.created_at) // 86400))
    name = baseline.commit[:12] or "an unnamed commit"
    before = sum(1 for test in baseline.tests if test.outcome is Outcome.PASSED)
    after = facts.report.counts[Outcome.PASSED]
    yield f"against the baseline of {name} ({plural(days, 'day')} old): {change(before, after)} passed"
    for names, word in (
        (delta.fixed, "fixed"),
        (delta.new_failures, "newly failing"),
        (delta.still_failing, "still failing"),
        (delta.new_tests, "new"),
        (delta.removed, "removed"),
        (delta.newly_skipped, "newly skipped"),
        (delta.new_flaky, "newly flaky"),
    ):
        if names:
            yield f"{len(names)} {word}: {listed(names)}"
