"""One journal, line by line: its events folded into the executions of tests, and what else its process said."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ci_tools.errors import DecodeError
from ci_tools.model.case import Leak
from ci_tools.model.journal import (
    JOURNAL_VERSION,
    CollectionFailed,
    CostsMeasured,
    Event,
    ExitRequested,
    LeakFound,
    PhaseFinished,
    SelectionRefused,
    SessionFinished,
    TestFinished,
    TestsCollected,
    TestStarted,
    TimedOut,
    WorkerCrashed,
    WorkerStarted,
    parse_event,
)


@dataclass(slots=True)
class Execution:
    """One execution of one test as far as the journal tells."""

    test_id: str
    worker: str
    started_at: float
    number: int
    is_started: bool = True
    end: TestFinished | None = None
    phases: list[PhaseFinished] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    timed_out: TimedOut | None = None
    exit_requested: ExitRequested | None = None


@dataclass(slots=True)
class Journal:
    """One process's events, folded."""

    name: str
    start: WorkerStarted | None = None
    end: SessionFinished | None = None
    last_at: float = 0.0
    executions: list[Execution] = field(default_factory=list)
    broken: list[CollectionFailed] = field(default_factory=list)
    collected: list[TestsCollected] = field(default_factory=list)
    costs: list[CostsMeasured] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    crashes: list[WorkerCrashed] = field(default_factory=list)
    latest: dict[str, Execution] = field(default_factory=dict)

    @property
    def worker(self) -> str:
        """The process's name; the file's as long as its first line is missing."""
        return self.start.worker if self.start else self.name

    @property
    def runs_tests(self) -> bool:
        """Whether tests run in this very process."""
        return self.start is not None and self.start.role == "worker"

    @property
    def has_vanished(self) -> bool:
        """Whether it was to run tests and has no end marker."""
        return self.runs_tests and self.end is None


def read_journal(path: Path, corrupt: list[str]) -> Journal:
    """Everything that can be read of the file; what cannot is said in ``corrupt``."""
    journal = Journal(path.name)
    for event in _events(path, corrupt):
        _fold(journal, event)
    if journal.start is None and (journal.executions or journal.last_at):
        corrupt.append(f"{path.name} does not begin with the start of a worker: its first lines are missing")
    if journal.start is not None and journal.start.version > JOURNAL_VERSION:
        corrupt.append(f"{path.name} has version {journal.start.version}, this ci-tools reads up to {JOURNAL_VERSION}")
    return journal


def _events(path: Path, corrupt: list[str]) -> Iterator[Event]:
    try:
        stream = path.open("rb")
    except OSError as error:
        corrupt.append(f"{path.name} cannot be read: {error.strerror}")
        return
    with stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                event = parse_event(line, where=f"{path.name}:{number}")
            except (DecodeError, RecursionError) as error:
                # A line without its newline is the last one: its writer was killed in the middle of it.
                if line.endswith(b"\n"):
                    corrupt.append(getattr(error, "what", f"{path.name}:{number} is nested too deeply"))
                continue
            if event is not None:
                yield event


def _fold(journal: Journal, event: Event) -> None:
    journal.last_at = max(journal.last_at, event.at)
    match event:
        case WorkerStarted():
            journal.start = event
        case SessionFinished():
            journal.end = event
        case TestsCollected():
            journal.collected.append(event)
        case CostsMeasured():
            journal.costs.append(event)
        case CollectionFailed():
            journal.broken.append(event)
        case SelectionRefused():
            journal.refusals.append(_refusal(journal, event))
        case WorkerCrashed():
            journal.crashes.append(event)
        case TimedOut(test_id=""):  # no test's: the worker's exit tells of it, or the file that it broke
            pass
        case TestStarted():
            execution = Execution(event.test_id, journal.worker, event.at, event.execution)
            journal.executions.append(execution)
            journal.latest[event.test_id] = execution
        case _:
            _fold_test(journal, event)


def _fold_test(journal: Journal, event: PhaseFinished | TestFinished | TimedOut | LeakFound | ExitRequested) -> None:
    execution = journal.latest.get(event.test_id)
    # A charge: the supervisor says what became of a test that another process started.
    if execution is None or (execution.end is not None and not isinstance(event, LeakFound)):
        number = event.execution if isinstance(event, TestFinished) else 1
        execution = Execution(event.test_id, journal.worker, event.at, number, is_started=False)
        journal.executions.append(execution)
        journal.latest[event.test_id] = execution
    match event:
        case PhaseFinished():
            execution.phases.append(event)
        case TestFinished():
            execution.end = event
        case TimedOut():
            execution.timed_out = event
        case LeakFound():
            execution.leaks.append(event.leak)
        case ExitRequested():
            execution.exit_requested = event


def _refusal(journal: Journal, event: SelectionRefused) -> str:
    named = ", ".join((*event.missing, *event.unexpected)[:5])
    return f"{journal.worker} refused its plan and ran nothing: {event.message}" + (f" ({named})" if named else "")
