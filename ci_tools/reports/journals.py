"""Reads the journals of one shard and folds their events into a shard report."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from ci_tools.model.case import DEFAULT_CONFIGURATION, Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.journal import WorkerCrashed
from ci_tools.model.report import CollectionError, Costs, EndedBy, ShardReport, WorkerExit
from ci_tools.model.service import Provenance
from ci_tools.model.shard import ShardRef, digest_of
from ci_tools.model.worker import MAIN
from ci_tools.reports.executions import Execution, Journal, read_journal

JOURNALS = "journal-*.jsonl"
MARKERS = "markers"
"""Property of an attempt: the marks of its test that some policy of the gate requires, with spaces between."""


def read_shard(  # noqa: PLR0913 - what only the supervisor knows of a shard, each by name
    folder: Path,
    *,
    run_id: str,
    shard: ShardRef,
    expected: Sequence[str] | None = None,
    run_attempt: int = 1,
    configuration: str = DEFAULT_CONFIGURATION,
    commit: str = "",
    plan_digest: str = "",
    exits: tuple[WorkerExit, ...] = (),
    services: tuple[Provenance, ...] = (),
    interrupted_by: str = "",
    started_at: float = 0.0,
    duration_s: float = 0.0,
) -> ShardReport:
    """What the journals in ``folder`` say about one attempt of one shard.

    ``expected`` are the test IDs that the shard was to run; None takes what the workers collected. Each of them has a
    case in the report: one that never ran is ``lost``. Journals of another shard, configuration or run attempt are left
    out; journals of another run, and lines that cannot be read, make the report corrupt.
    """
    corrupt: list[str] = []
    journals: list[Journal] = []
    for path in sorted(folder.glob(JOURNALS)):
        journal = read_journal(path, corrupt)
        if _belongs(journal, path, run_id, shard, run_attempt, configuration, corrupt):
            journals.append(journal)
    corrupt.extend(reason for journal in journals for reason in journal.refusals)
    wanted = _wanted(journals) if expected is None else tuple(expected)
    known = {exit_.worker for exit_ in exits}
    vanished = [journal for journal in journals if journal.has_vanished and _name_of(journal, shard) not in known]
    return ShardReport(
        run_id=run_id,
        shard=str(shard),
        cases=_cases(journals, wanted, str(shard), run_attempt, configuration),
        run_attempt=run_attempt,
        configuration=configuration,
        commit=commit or next((journal.start.commit for journal in journals if journal.start), ""),
        plan_digest=plan_digest,
        expected_digest=digest_of(wanted),
        collection_errors=_collection_errors(journals, str(shard), configuration),
        exits=(exits or _ends(journals)) + tuple(map(_exit_of, vanished)),
        services=services,
        corrupt=tuple(corrupt),
        interrupted_by=interrupted_by,
        started_at=started_at or min((journal.start.at for journal in journals if journal.start), default=0.0),
        duration_s=duration_s or _span_s(journals),
        source=folder.name,
        facts=_facts(journals),
        costs=_costs(journals),
    )


def _belongs(
    journal: Journal, path: Path, run_id: str, shard: ShardRef, run_attempt: int, configuration: str, corrupt: list[str]
) -> bool:
    start = journal.start
    if start is None:
        return True
    if start.run_id != run_id:
        corrupt.append(f"{path.name} is of run {start.run_id!r}, expected {run_id!r}: left out")
        return False
    return start.shard == str(shard) and start.run_attempt == run_attempt and start.configuration == configuration


def _wanted(journals: Iterable[Journal]) -> tuple[str, ...]:
    return tuple(sorted({test_id for journal in journals for event in journal.collected for test_id in event.test_ids}))


def _cases(
    journals: Sequence[Journal], wanted: Sequence[str], shard: str, run_attempt: int, configuration: str
) -> tuple[Case, ...]:
    crashes = {crash.test_id: crash for journal in journals for crash in journal.crashes if crash.test_id}
    marked = _marked(journals)
    found: dict[str, list[tuple[Execution, Journal]]] = {}
    for journal in journals:
        for execution in journal.executions:
            found.setdefault(execution.test_id, []).append((execution, journal))
    cases = []
    for test_id in sorted({*found, *wanted}):
        executions = _with_charges(found.get(test_id, []))
        attempts = tuple(
            _attempt(execution, journal, number, crashes.get(test_id), shard, run_attempt)
            for number, (execution, journal) in enumerate(executions, start=1)
        )
        if not attempts:
            attempts = (Attempt(outcome=Outcome.LOST, shard=shard, run_attempt=run_attempt, reason="planned, never started"),)
        if test_id in marked:
            marks = {MARKERS: marked[test_id]}
            attempts = tuple(replace(attempt, properties={**attempt.properties, **marks}) for attempt in attempts)
        cases.append(Case(test_id=test_id, attempts=attempts, configuration=configuration))
    return tuple(cases)


def _marked(journals: Iterable[Journal]) -> dict[str, str]:
    """The marks of each test that has any, as its property says them."""
    found: dict[str, set[str]] = {}
    for journal in journals:
        for event in journal.collected:
            for name, test_ids in event.markers.items():
                for test_id in test_ids:
                    found.setdefault(test_id, set()).add(name)
    return {test_id: " ".join(sorted(names)) for test_id, names in found.items()}


def _with_charges(found: Sequence[tuple[Execution, Journal]]) -> list[tuple[Execution, Journal]]:
    """Executions in order of time, each charge laid over the unfinished execution that it is for."""
    started = [pair for pair in found if pair[0].is_started]
    charges = [pair for pair in found if not pair[0].is_started]
    unfinished = sorted((pair for pair in started if pair[0].end is None), key=lambda pair: pair[0].started_at)
    unmatched = []
    for charge, journal in sorted(charges, key=lambda pair: pair[0].started_at):
        if not unfinished:
            unmatched.append((charge, journal))
            continue
        execution, _ = unfinished.pop(0)
        execution.end = charge.end
        execution.phases.extend(charge.phases)
        execution.leaks.extend(charge.leaks)
        execution.timed_out = charge.timed_out or execution.timed_out
        execution.exit_requested = charge.exit_requested or execution.exit_requested
    return sorted([*started, *unmatched], key=lambda pair: (pair[0].started_at, pair[0].number))


def _attempt(
    execution: Execution, journal: Journal, number: int, crash: WorkerCrashed | None, shard: str, run_attempt: int
) -> Attempt:
    failures = tuple(phase.failure for phase in execution.phases if phase.failure is not None)
    outcome, reason = _outcome(execution, journal, crash)
    stacks = "\n\n".join(event.stacks for event in (execution.timed_out, execution.exit_requested) if event and event.stacks)
    if not failures and not outcome.is_green and outcome is not Outcome.XPASSED:
        failures = (_unseen_failure(execution, outcome, reason, stacks),)
    seconds = {phase: sum(done.duration_s for done in execution.phases if done.phase is phase) for phase in Phase}
    return Attempt(
        outcome=outcome,
        number=number,
        duration_s=execution.end.duration_s if execution.end else sum(seconds.values()),
        setup_s=seconds[Phase.SETUP],
        call_s=seconds[Phase.CALL],
        teardown_s=seconds[Phase.TEARDOWN],
        shard=shard,
        run_attempt=run_attempt,
        worker=execution.worker,
        started_at=execution.started_at,
        failures=failures,
        leaks=tuple(execution.leaks),
        reason=reason,
        stacks=stacks,
        properties=execution.end.properties if execution.end else {},
    )


def _outcome(execution: Execution, journal: Journal, crash: WorkerCrashed | None) -> tuple[Outcome, str]:
    if execution.end is not None:
        reason = execution.end.reason or next((phase.reason for phase in execution.phases if phase.reason), "")
        return execution.end.outcome, reason
    if execution.timed_out is not None:
        return Outcome.TIMED_OUT, f"no end within {execution.timed_out.timeout_s:g} s"
    if execution.exit_requested is not None:
        return Outcome.CRASHED, f"the code under test ended the process with os._exit({execution.exit_requested.code})"
    if crash is not None:
        return Outcome.CRASHED, crash.message
    if journal.end is None:
        return Outcome.CRASHED, f"worker {execution.worker} ended while this test ran"
    return Outcome.LOST, f"started, not finished: the session ended with status {journal.end.exit_status}"


def _unseen_failure(execution: Execution, outcome: Outcome, reason: str, stacks: str) -> Failure:
    """What stands for the traceback that nobody could write any more."""
    phase = execution.timed_out.phase if execution.timed_out else _next_phase(execution)
    return Failure(phase=phase, type_name=outcome.value, message=reason or outcome.value, text=stacks)


def _next_phase(execution: Execution) -> Phase:
    done = {finished.phase for finished in execution.phases}
    return next((phase for phase in (Phase.SETUP, Phase.CALL) if phase not in done), Phase.TEARDOWN)


def _costs(journals: Sequence[Journal]) -> Costs:
    """What was measured around the tests.

    Every pytest-xdist worker imports every file and makes fixtures of its own: the middle, and the most, that one of them took.
    """
    imports: dict[str, list[float]] = {}
    setups: dict[str, float] = {}
    fixtures: dict[str, float] = {}
    for journal in journals:
        own: dict[str, float] = {}
        for event in journal.costs:
            for path, seconds in event.imports.items():
                imports.setdefault(path, []).append(seconds)
            for test_id, by_scope in event.fixtures.items():
                setups[test_id] = sum(by_scope.values())
                path = test_id.split("::", 1)[0]
                of_file = sum(seconds for scope, seconds in by_scope.items() if scope in {"class", "module"})
                if of_file:
                    own[path] = own.get(path, 0.0) + of_file
            for fixture, seconds in event.shared.items():
                own[fixture] = own.get(fixture, 0.0) + seconds
        for path, seconds in own.items():
            fixtures[path] = max(fixtures.get(path, 0.0), seconds)
    return Costs(imports={path: median(found) for path, found in imports.items()}, setups=setups, fixtures=fixtures)


def _collection_errors(journals: Iterable[Journal], shard: str, configuration: str) -> tuple[CollectionError, ...]:
    """One for each file: every pytest-xdist worker collects for itself and says the same."""
    failures = {event.path: event.failure for journal in journals for event in journal.broken}
    return tuple(
        CollectionError(path=path, failure=failure, shard=shard, configuration=configuration)
        for path, failure in sorted(failures.items())
    )


def _ends(journals: Sequence[Journal]) -> tuple[WorkerExit, ...]:
    """What processes that nobody watched to their end said of it themselves; pytest-xdist's controller speaks for its workers."""
    ended = [(journal, journal.start, journal.end) for journal in journals if journal.start and journal.end]
    leads = [item for item in ended if not item[0].runs_tests] or ended
    return tuple(
        WorkerExit(
            worker=journal.worker,
            returncode=end.exit_status,
            ended_by=EndedBy.ITSELF,
            finished_session=True,
            duration_s=max(0.0, end.at - start.at),
        )
        for journal, start, end in leads
    )


def _name_of(journal: Journal, shard: ShardRef) -> str:
    """What the supervisor calls it: of each generation it sees one process, that of pytest itself."""
    if journal.worker == MAIN and journal.start is not None:
        return shard.process(journal.start.generation)
    return journal.worker


def _exit_of(journal: Journal) -> WorkerExit:
    return WorkerExit(
        worker=journal.worker,
        returncode=-1,
        ended_by=EndedBy.SIGNAL,
        finished_session=False,
        duration_s=max(0.0, journal.last_at - (journal.start.at if journal.start else journal.last_at)),
        message="its journal has no end marker",
    )


def _span_s(journals: Iterable[Journal]) -> float:
    starts = [journal.start.at for journal in journals if journal.start]
    ends = [journal.last_at for journal in journals]
    return max(0.0, max(ends) - min(starts)) if starts and ends else 0.0


def _facts(journals: Iterable[Journal]) -> dict[str, str]:
    start = next((journal.start for journal in journals if journal.runs_tests and journal.start), None)
    if start is None:
        return {}
    facts = {
        "python": start.python,
        "pytest": start.pytest,
        "platform": start.platform,
        "tool": start.tool,
        "settings": start.settings,
    }
    return {name: value for name, value in facts.items() if value}
