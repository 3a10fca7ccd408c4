"""The baseline: what the suite looked like on the default branch, and what changed since."""

from collections.abc import Iterable
from dataclasses import dataclass

from ci_tools.errors import UsageError
from ci_tools.model.case import Outcome
from ci_tools.model.policy import Baseline, KnownTest
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Cause, Decision, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What is different from the baseline: test IDs, each sorted. ``new_tests`` are not in the baseline at all."""

    new_failures: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    new_tests: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    newly_skipped: tuple[str, ...] = ()
    new_flaky: tuple[str, ...] = ()


def make_baseline(report: RunReport, verdict: Verdict, causes: Iterable[Cause], *, now: float) -> Baseline:
    """The baseline that a run gives. UsageError unless its verdict is passed: a red run must not become the measure."""
    if verdict.decision is not Decision.PASSED:
        what = f"the verdict is {verdict.decision}, expected passed: {verdict.headline}"
        raise UsageError(what, hint="update the baseline from a green run on the default branch")
    signatures = [(cause.signature, *cause.aliases) for cause in causes]
    by_test: dict[str, set[str]] = {}
    for cause in causes:
        for test_id in cause.tests:
            by_test.setdefault(test_id, set()).update((cause.signature, *cause.aliases))
    tests = tuple(
        KnownTest(
            test_id=case.test_id,
            outcome=case.outcome,
            duration_s=round(case.duration_s, 6),
            signatures=tuple(sorted(by_test.get(case.test_id, ()))),
            is_flaky=case.is_flaky,
            configuration=case.configuration,
        )
        for case in report.cases
    )
    return Baseline(
        commit=report.commit,
        created_at=now,
        tests=tests,
        run_id=report.run_id,
        duration_s=report.duration_s,
        signatures=tuple(sorted({name for names in signatures for name in names})),
    )


def compare(report: RunReport, baseline: Baseline) -> Delta:
    """What changed from the baseline to this run, test by test."""
    known = {(test.configuration, test.test_id): test for test in baseline.tests}
    found = {(case.configuration, case.test_id): case for case in report.cases}
    failing = {key for key, case in found.items() if not case.outcome.is_green}
    failed_before = {key for key, test in known.items() if not test.outcome.is_green}
    return Delta(
        new_failures=_names(failing - failed_before),
        still_failing=_names(failing & failed_before),
        fixed=_names(key for key in failed_before & found.keys() if found[key].outcome is Outcome.PASSED),
        new_tests=_names(found.keys() - known.keys()),
        removed=_names(known.keys() - found.keys()),
        newly_skipped=_names(
            key
            for key, case in found.items()
            if case.outcome is Outcome.SKIPPED and key in known and known[key].outcome is not Outcome.SKIPPED
        ),
        new_flaky=_names(key for key, case in found.items() if case.is_flaky and not (key in known and known[key].is_flaky)),
    )


def _names(keys: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(test_id for _, test_id in keys))
