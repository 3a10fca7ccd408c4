"""Quarantine: tests that run and do not gate, each for one signature, with an owner and a last day."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from ci_tools.model.case import Case, Outcome
from ci_tools.model.policy import Policy, QuarantineEntry
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Cause

_COVERED = {Outcome.FAILED, Outcome.ERROR, Outcome.TIMED_OUT}
"""What quarantine may cover. A crash takes other tests with it and a loss is no result at all: never those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgiveness:
    """What quarantine made of a run: tests forgiven, entries that forgive nothing (and why), tests that pass again."""

    cases: frozenset[tuple[str, str]] = frozenset()
    invalid: tuple[str, ...] = ()
    to_lift: tuple[str, ...] = ()

    @property
    def tests(self) -> frozenset[str]:
        """The test IDs that are forgiven."""
        return frozenset(test_id for _, test_id in self.cases)

    def covers(self, case: Case) -> bool:
        """Whether this case's failure is forgiven."""
        return (case.configuration, case.test_id) in self.cases

    def covers_all(self, test_ids: Iterable[str]) -> bool:
        """Whether every one of these tests is forgiven."""
        forgiven = self.tests
        return all(test_id in forgiven for test_id in test_ids)


def forgive(report: RunReport, causes: Iterable[Cause], policy: Policy, *, today: date) -> Forgiveness:
    """Hold the quarantine against the run. A test is forgiven when every cause it failed with has an entry for it."""
    if policy.quarantine_cap <= 0:
        return Forgiveness()
    invalid: list[str] = []
    valid: list[QuarantineEntry] = []
    for entry in policy.quarantine:
        problem = _problem(entry, today)
        if problem:
            invalid.append(f"{entry.test or 'an entry without a test'}: {problem}")
        else:
            valid.append(entry)
    signatures = _signatures(causes)
    forgiven, to_lift = set(), set()
    for case in report.cases:
        entries = [entry for entry in valid if entry.test == case.test_id and entry.configuration in {"", case.configuration}]
        if not entries:
            continue
        if case.outcome is Outcome.PASSED and not case.is_flaky:
            to_lift.add(case.test_id)
        known = {entry.signature for entry in entries}
        failed_with = signatures.get(case.test_id, ())
        if case.outcome in _COVERED and failed_with and all(known & found for found in failed_with):
            forgiven.add((case.configuration, case.test_id))
    return Forgiveness(cases=frozenset(forgiven), invalid=tuple(invalid), to_lift=tuple(sorted(to_lift)))


def _problem(entry: QuarantineEntry, today: date) -> str:
    missing = [name for name in ("test", "signature", "owner", "reason", "issue", "expires") if not getattr(entry, name).strip()]
    if missing:
        return f"no {', '.join(missing)}"
    try:
        last = date.fromisoformat(entry.expires)
    except ValueError:
        return f"expires is {entry.expires!r}, expected a date like 2026-12-31"
    return f"expired on {entry.expires} (owner {entry.owner}, {entry.issue})" if last < today else ""


def _signatures(causes: Iterable[Cause]) -> Mapping[str, list[frozenset[str]]]:
    """Test ID → one set of signatures for each cause it is in."""
    found: dict[str, list[frozenset[str]]] = {}
    for cause in causes:
        names = frozenset({cause.signature, *cause.aliases})
        for test_id in cause.tests:
            found.setdefault(test_id, []).append(names)
    return found
