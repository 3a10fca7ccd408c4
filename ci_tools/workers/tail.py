"""The tail of a worker's journals: what each process has said so far, read while it is being written."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import assert_never

from ci_tools.errors import DecodeError
from ci_tools.model.case import Phase
from ci_tools.model.journal import (
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

SUPERVISOR = "supervisor"
"""Worker name and role in the supervisor's own journal."""

_NEXT = {Phase.SETUP: Phase.CALL, Phase.CALL: Phase.TEARDOWN, Phase.TEARDOWN: Phase.TEARDOWN}


@dataclass(slots=True)
class Flight:
    """One execution that has started and not finished."""

    test_id: str
    started_at: float
    execution: int = 1
    phase: Phase = Phase.SETUP
    timed_out: TimedOut | None = None
    exit_requested: ExitRequested | None = None

    def note(self, event: PhaseFinished | TimedOut | ExitRequested) -> None:
        """Keep what tells how far it came and why it may end."""
        match event:
            case PhaseFinished():
                self.phase = _NEXT.get(event.phase, self.phase)
            case TimedOut():
                self.timed_out = event
            case ExitRequested():
                self.exit_requested = event


@dataclass(slots=True)
class Voice:
    """One process as its journal shows it. ``heard`` is the monotonic second of its latest sign of life.

    That is an event, or a touch of the file: a process that watches over itself may say so without a line.
    """

    path: Path
    heard: float
    offset: int = 0
    seen: tuple[int, int] = (0, 0)
    rest: bytes = b""
    start: WorkerStarted | None = None
    session: SessionFinished | None = None
    has_collected: bool = False
    flights: dict[str, Flight] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    unreadable: int = 0
    stuck: list[TimedOut] = field(default_factory=list)
    """Where it hung outside of any test, and had to end itself."""

    @property
    def name(self) -> str:
        """``main``, ``gw0`` or ``controller``; the file's name as long as its first line is not there."""
        return self.start.worker if self.start else self.path.stem

    @property
    def runs_tests(self) -> bool:
        """Whether tests run in this very process."""
        return self.start is None or self.start.role == "worker"

    def note(self, event: PhaseFinished | TimedOut | ExitRequested) -> None:
        """Keep what belongs to a test in flight, or tells why the process itself had to end."""
        flight = self.flights.get(event.test_id)
        if flight is not None:
            flight.note(event)
        elif isinstance(event, TimedOut) and event.ended_worker:
            self.stuck.append(event)


class Tail:
    """All journals of one shard in one folder, but for the supervisor's own and those that were there before."""

    def __init__(self, folder: Path, slug: str) -> None:
        self._folder = folder
        self._pattern = f"journal-{slug}-*.jsonl"
        self._known = set(folder.glob(self._pattern))
        self.voices: dict[Path, Voice] = {}
        self.collected: set[str] = set()
        self.broken: set[str] = set()
        self.crashes: list[WorkerCrashed] = []
        self.refusal: SelectionRefused | None = None

    def read(self) -> Iterator[Event]:
        """Every event written since the last call, journal by journal."""
        for path in sorted(set(self._folder.glob(self._pattern)) - self._known - self.voices.keys()):
            if f"-{SUPERVISOR}-" not in path.name:
                self.voices[path] = Voice(path=path, heard=time.monotonic())
        for voice in self.voices.values():
            yield from self._read(voice)

    @property
    def flights(self) -> list[tuple[Voice, Flight]]:
        """Everything in flight, by journal."""
        return [(voice, flight) for voice in self.voices.values() for flight in voice.flights.values()]

    @property
    def finished(self) -> set[str]:
        """Every test that any process has finished."""
        return {test_id for voice in self.voices.values() for test_id in voice.finished}

    @property
    def session(self) -> SessionFinished | None:
        """The end marker of the process that was started: pytest-xdist's controller, or the only one there is."""
        sessions = {voice.name: voice.session for voice in self.voices.values() if voice.session}
        names = {voice.name for voice in self.voices.values()}
        return sessions.get("controller") if "controller" in names else next(iter(sessions.values()), None)

    @property
    def heard(self) -> float:
        """Monotonic second of the latest event of any process; 0 when none has spoken."""
        return max((voice.heard for voice in self.voices.values()), default=0.0)

    def _read(self, voice: Voice) -> Iterator[Event]:
        try:
            stat = voice.path.stat()
            seen = stat.st_mtime_ns, stat.st_size  # two lines may be written within one tick of the file system's clock
            if seen == voice.seen:
                return
            with voice.path.open("rb") as stream:
                stream.seek(voice.offset)
                data = stream.read()
        except FileNotFoundError:
            return
        voice.seen, voice.heard = seen, time.monotonic()
        voice.offset += len(data)
        *lines, voice.rest = (voice.rest + data).split(b"\n")
        for line in lines:
            try:
                event = parse_event(line, where=voice.path.name) if line.strip() else None
            except DecodeError:
                voice.unreadable += 1  # collecting the shard's report names it
                continue
            if event is not None:
                self._note(voice, event)
                yield event

    def _note(self, voice: Voice, event: Event) -> None:  # noqa: C901 - one short branch for each kind of event
        match event:
            case WorkerStarted():
                voice.start = event
            case TestsCollected():
                voice.has_collected = True
                self.collected.update(event.test_ids)
            case CollectionFailed():
                self.broken.add(event.path)
            case SelectionRefused():
                self.refusal = event
            case WorkerCrashed():
                self.crashes.append(event)
            case SessionFinished():
                voice.session = event
            case TestStarted():
                voice.flights[event.test_id] = Flight(event.test_id, event.at, event.execution)
            case TestFinished():
                voice.flights.pop(event.test_id, None)
                voice.finished.add(event.test_id)
            case PhaseFinished() | TimedOut() | ExitRequested():
                voice.note(event)
            case LeakFound() | CostsMeasured():  # they belong to the report
                pass
            case _:
                assert_never(event)
