"""What of a report is worth showing, chosen and ordered once for every form of summary."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ci_tools.model.case import DEFAULT_CONFIGURATION, Attempt, Case, Outcome
from ci_tools.model.report import RunReport, ShardReport
from ci_tools.model.verdict import Cause, Decision, RuleResult, Verdict
from ci_tools.summary.quantities import render_count

FAST_S = 0.001
"""A passed integration test whose own code took less than this most likely asked no service anything."""

WORST_FIRST = (
    Outcome.CRASHED,
    Outcome.TIMED_OUT,
    Outcome.LOST,
    Outcome.ERROR,
    Outcome.FAILED,
    Outcome.XPASSED,
    Outcome.XFAILED,
    Outcome.SKIPPED,
    Outcome.PASSED,
)

NOWHERE = "–"
"""Stands for the shard of tests that no shard reported."""

_BREACH_ORDER = (Decision.ERROR, Decision.INCOMPLETE, Decision.FAILED, Decision.PASSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRow:
    """One line of the table of shards. ``counts`` has every outcome; ``remark`` says what is wrong with the shard as such."""

    shard: str
    configuration: str = DEFAULT_CONFIGURATION
    run_attempt: int = 1
    counts: Mapping[Outcome, int]
    duration_s: float = 0.0
    remark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A test file as what it stands for: ``tests/test_sign_in.py`` is "sign in". Tests of several configurations count once."""

    name: str
    path: str
    broken: int
    """Tests that are not green in some configuration, lost ones too."""
    expected: int
    """0: nobody knows, since the file could not be collected."""


def broken_areas(report: RunReport) -> tuple[Area, ...]:
    """The areas in which something does not work, those where least works first."""
    tests: dict[str, dict[str, bool]] = {error.path: {} for error in report.collection_errors}
    for case in report.cases:
        path = case.test_id.partition("::")[0]
        is_green = tests.setdefault(path, {}).get(case.test_id, True) and case.outcome.is_green
        tests[path][case.test_id] = is_green
    areas = (
        Area(name=_area_name(path), path=path, broken=sum(not green for green in of_path.values()), expected=len(of_path))
        for path, of_path in tests.items()
    )
    broken = (area for area in areas if area.broken or not area.expected)
    return tuple(
        sorted(broken, key=lambda area: (-area.broken / area.expected if area.expected else -2, -area.broken, area.path))
    )


def state_of(area: Area) -> str:
    """How much of an area does not work: ``3 of 9 tests do not pass``."""
    if not area.expected:
        return "cannot be collected, its tests are unknown"
    if area.broken == area.expected:
        return "its one test does not pass" if area.expected == 1 else f"none of {area.expected} tests passes"
    return f"{area.broken} of {area.expected} tests {'does' if area.broken == 1 else 'do'} not pass"


def _area_name(path: str) -> str:
    stem = path.replace("\\", "/").rpartition("/")[2]
    if stem != path or stem.endswith(".py"):  # a file, and no dotted name of a class
        stem = stem.partition(".")[0] or stem
    return stem.removeprefix("test_").removesuffix("_test").replace("_", " ").strip() or stem


def violations(verdict: Verdict) -> tuple[RuleResult, ...]:
    """The rules that do not hold, those with the worst breach first."""
    broken = (rule for rule in verdict.rules if not rule.holds)
    return tuple(sorted(broken, key=lambda rule: _BREACH_ORDER.index(rule.breach)))


def ordered_causes(verdict: Verdict) -> tuple[Cause, ...]:
    """Causes, the one that unblocks most tests first; equals keep the order of the verdict."""
    return tuple(sorted(verdict.causes, key=lambda cause: -len(cause.tests)))


def reach_of(cause: Cause) -> str:
    """How much a cause stops: ``stops 17 tests (2 failures, 15 errors)``, and what it rolls up to where that says more."""
    kinds = [
        *([render_count(cause.failures, "failure")] if cause.failures else []),
        *([render_count(cause.errors, "error")] if cause.errors else []),
    ]
    counted = render_count(len(cause.tests), "test")
    told = f"stops {counted}" + (f" ({', '.join(kinds)})" if kinds else "")
    return f"{told}; {cause.blocks}" if cause.blocks not in {"", f"blocks {counted}"} else told


def not_passing(report: RunReport) -> tuple[Case, ...]:
    """Cases that ran or broke and are not green, worst outcome first. Lost tests are apart (``lost``)."""
    cases = (case for case in report.cases if not case.outcome.is_green and case.outcome is not Outcome.LOST)
    return tuple(sorted(cases, key=lambda case: (WORST_FIRST.index(case.outcome), case.test_id, case.configuration)))


def lost(report: RunReport) -> tuple[Case, ...]:
    """Planned and never reported."""
    return tuple(case for case in report.cases if case.outcome is Outcome.LOST)


def flaky(report: RunReport) -> tuple[Case, ...]:
    """Passed after a failed attempt."""
    return report.flaky


def slowest(report: RunReport, count: int) -> tuple[Case, ...]:
    """The ``count`` longest executed cases."""
    timed = (case for case in report.cases if case.outcome.is_executed and math.isfinite(case.duration_s) and case.duration_s > 0)
    return tuple(sorted(timed, key=lambda case: (-case.duration_s, case.test_id))[:count])


def suspiciously_fast(report: RunReport) -> tuple[Case, ...]:
    """Passed cases whose own code took less than ``FAST_S``, where times are known."""
    return tuple(case for case in report.cases if case.outcome is Outcome.PASSED and 0 < _own_s(case.attempts[-1]) < FAST_S)


def shard_rows(report: RunReport) -> tuple[ShardRow, ...]:
    """One row a shard and attempt, one for each shard that sent no report, one for tests that no shard reported.

    Each case counts once, where its deciding attempt ran.
    """
    counted: dict[tuple[str, str, int], dict[Outcome, int]] = {}
    for case in report.cases:
        key = _place_of(case)
        counted.setdefault(key, _no_counts())[case.outcome] += 1
    rows = [
        ShardRow(
            shard=shard.shard,
            configuration=shard.configuration,
            run_attempt=shard.run_attempt,
            counts=counted.pop((shard.shard, shard.configuration, shard.run_attempt), _no_counts()),
            duration_s=shard.duration_s,
            remark=_remark(shard),
        )
        for shard in report.shards
    ]
    for name in report.missing_shards:
        shard, _, configuration = name.partition(" of ")
        rows.append(
            ShardRow(
                shard=shard, configuration=configuration or DEFAULT_CONFIGURATION, counts=_no_counts(), remark="sent no report"
            )
        )
    rows += [
        ShardRow(
            shard=shard,
            configuration=configuration,
            run_attempt=attempt,
            counts=counts,
            remark="" if shard != NOWHERE else "no shard reported them",
        )
        for (shard, configuration, attempt), counts in counted.items()
    ]
    return tuple(rows)


def _place_of(case: Case) -> tuple[str, str, int]:
    if not case.attempts:
        return NOWHERE, case.configuration, 1
    last = case.attempts[-1]
    return last.shard, case.configuration, last.run_attempt


def _remark(shard: ShardReport) -> str:
    told = [
        *([f"interrupted by {shard.interrupted_by}"] if shard.interrupted_by else []),
        *shard.corrupt,
        *(f"{error.path} could not be collected" for error in shard.collection_errors),
        *(exit_.message for exit_ in shard.exits if exit_.message),
    ]
    return "; ".join(told)


def name_of(case: Case) -> str:
    """The test ID, with its configuration where that is not the only one."""
    return case.test_id if case.configuration == DEFAULT_CONFIGURATION else f"{case.test_id} ({case.configuration})"


def reason_of(case: Case) -> str:
    """One line on why the last attempt did not pass."""
    if not case.attempts:
        return ""
    last = case.attempts[-1]
    if last.failures:
        failure = last.failures[0]
        head = f"{failure.type_name}: " if failure.type_name and not failure.message.startswith(failure.type_name) else ""
        return f"{head}{failure.message}".strip()
    if last.leaks:
        return f"left a {last.leaks[0].kind} behind: {last.leaks[0].what}"
    return last.reason


def _own_s(attempt: Attempt) -> float:
    phases_s = attempt.setup_s + attempt.call_s + attempt.teardown_s
    return attempt.call_s if phases_s > 0 else attempt.duration_s


def _no_counts() -> dict[Outcome, int]:
    return dict.fromkeys(Outcome, 0)
