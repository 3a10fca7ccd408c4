"""The journal: one JSON line per event, flushed at once, so that a killed run still says what ran.

A worker writes one file, ``journal-<shard slug>-<worker>-<pid>.jsonl``. Its first line is ``WorkerStarted``;
a file without ``SessionFinished`` as its last line belongs to a worker that did not end by itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from operator import attrgetter
from typing import Any, get_args

from ci_tools.errors import DecodeError
from ci_tools.model.case import DEFAULT_CONFIGURATION, Failure, Leak, Outcome, Phase
from ci_tools.model.codec import from_json, to_json

JOURNAL_VERSION = 1
STACKS_SUFFIX = ".stacks"
"""Beside ``journal-….jsonl`` lies ``journal-….stacks``: what the dead man's switch wrote when no line could be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted:
    """A pytest process began. ``role`` is ``worker`` (runs tests) or ``controller`` (pytest-xdist's, runs none).

    ``seed`` is pytest-randomly's; 0 without it. ``hash_seed`` is ``PYTHONHASHSEED``; empty where Python chose an order of sets.
    ``settings`` are digests of the configuration by name (``arguments=… ci-tools=… pytest=…``); empty under bare pytest.
    """

    at: float
    run_id: str
    worker: str
    pid: int
    role: str = "worker"
    version: int = JOURNAL_VERSION
    run_attempt: int = 1
    configuration: str = DEFAULT_CONFIGURATION
    shard: str = "1/1"
    generation: int = 1
    plan_digest: str = ""
    commit: str = ""
    python: str = ""
    pytest: str = ""
    platform: str = ""
    tool: str = ""
    root: str = ""
    seed: int = 0
    hash_seed: str = ""
    settings: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestsCollected:
    """Collection ended. ``test_ids`` are those this process will run (after selection); pytest-xdist workers leave them empty.

    ``markers`` are, by a marker that some policy of the gate requires, the test IDs that have it.
    """

    __test__ = False
    at: float
    count: int
    digest: str
    test_ids: tuple[str, ...] = ()
    duration_s: float = 0.0
    markers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ASKED_BY = " asked by "
"""Between a fixture and the file of a test that fetched it with ``getfixturevalue``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsMeasured:
    """What the next plan is made from: seconds of importing each file, and of setting up wider fixtures.

    ``fixtures`` has, by the test in whose set-up they were made, the seconds by their scope (class, module, package, session);
    ``shared`` those of each fixture of the session or a package (``tests::database``) without what it had made itself, and the
    same again beside the file that asked for one while it ran (``tests::database asked by tests/test_a.py``).
    """

    at: float
    imports: Mapping[str, float] = field(default_factory=dict)
    fixtures: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    shared: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionFailed:
    """One file (or package) could not be collected."""

    at: float
    path: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionRefused:
    """What was collected does not fit the plan: nothing was run."""

    at: float
    message: str
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestStarted:
    """A test's set-up is about to begin. ``execution`` counts runs of this test in this process, from 1."""

    __test__ = False
    at: float
    test_id: str
    execution: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFinished:
    """One phase ended: ``result`` is pytest's word (passed, failed, skipped).

    ``counts`` is what was measured of the services that the test declares, like ``{"redis_commands": 3}``.
    """

    at: float
    test_id: str
    phase: Phase
    result: str
    duration_s: float
    failure: Failure | None = None
    reason: str = ""
    counts: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestFinished:
    """All phases of one execution are over and this is its outcome."""

    __test__ = False
    at: float
    test_id: str
    outcome: Outcome
    duration_s: float
    execution: int = 1
    reason: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """A deadline passed. ``ended_worker`` says whether the process had to be ended for it.

    ``test_id`` is empty where no test ran: ``place`` says what took too long then (a file's collection, the interpreter's exit).
    """

    at: float
    test_id: str
    phase: Phase
    timeout_s: float
    stacks: str
    ended_worker: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakFound:
    """Something outlived its test."""

    at: float
    test_id: str
    leak: Leak


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRequested:
    """Code under test asked the process to end (``os._exit``) while this test ran."""

    at: float
    test_id: str
    code: int
    stacks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerCrashed:
    """pytest-xdist's controller saw a worker end; ``test_id`` is what it was running, as far as known."""

    at: float
    worker: str
    test_id: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFinished:
    """The end marker: the session ended by itself with pytest's exit status."""

    at: float
    exit_status: int
    finished: int


Event = (
    WorkerStarted
    | TestsCollected
    | CostsMeasured
    | CollectionFailed
    | SelectionRefused
    | TestStarted
    | PhaseFinished
    | TestFinished
    | TimedOut
    | LeakFound
    | ExitRequested
    | WorkerCrashed
    | SessionFinished
)

_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)}


# ASCII only: lone surrogates in test output must not make the line unwritable.
_ENCODE = json.JSONEncoder(ensure_ascii=True, check_circular=False, separators=(",", ":")).encode
_QUOTE = json.encoder.encode_basestring_ascii
_NO_DEFAULT = object()


@cache
def _fields_of(kind: type) -> tuple[Any, tuple[tuple[str, object], ...]]:
    """What reads all fields of an event at once; and of each field its key as it stands in a line, and its default."""
    keys = tuple((f',"{one.name}":', _default_of(one)) for one in fields(kind))
    return attrgetter(*(one.name for one in fields(kind))), keys


def _default_of(one: "Field[Any]") -> object:
    if one.default is not MISSING:
        return one.default
    return _NO_DEFAULT if one.default_factory is MISSING else one.default_factory()


def render_event(event: Event) -> str:
    """One line without its newline: the event's name under ``event`` and its fields; what is as by default is left out.

    What nearly every field is, a text or a finite number, is put down directly (a quarter of the encoder's time).
    """
    kind = type(event)
    line = f'{{"event":"{kind.__name__}"'
    read, keys = _fields_of(kind)  # type: ignore[arg-type] # a class is hashable; mypy sees a union of them
    for (key, default), value in zip(keys, read(event), strict=True):
        if default is not _NO_DEFAULT and value == default:
            continue
        if isinstance(value, str):  # an enum's member too
            line += key + _QUOTE(value)
        elif type(value) is int or (type(value) is float and value - value == 0):
            line += key + repr(value)
        else:
            line += key + _ENCODE(to_json(value))
    return line + "}"


_PASSED = {phase: f'"phase":"{phase}","result":"passed","duration_s":' for phase in Phase}


class PassedLines:
    """The lines of a test in which nothing happened but that it passed: what ``render_event`` would make of its five events.

    Nearly all lines of a healthy suite are these, and the fastest suite waits for each: they take a tenth of the general way.
    Points in time are cut to microseconds and lengths to nanoseconds, and written as whole numbers of them (``123e-9``): the
    shortest text of a floating-point number takes four times as long, and a test has ten.
    """

    __slots__ = ("_test_id",)

    def __init__(self, test_id: str) -> None:
        self._test_id = f'"test_id":{_QUOTE(test_id)}'

    def started(self, at: float, execution: int) -> str:
        """``TestStarted``; the seconds here and below are finite."""
        again = f',"execution":{execution}' if execution != 1 else ""
        return f'{{"event":"TestStarted","at":{int(at * 1e6)}e-6,{self._test_id}{again}}}'

    def passed(self, at: float, phase: Phase, duration_s: float) -> str:
        """``PhaseFinished`` of a phase that passed."""
        return f'{{"event":"PhaseFinished","at":{int(at * 1e6)}e-6,{self._test_id},{_PASSED[phase]}{int(duration_s * 1e9)}e-9}}'

    def finished(self, at: float, duration_s: float, execution: int) -> str:
        """``TestFinished`` of a test that passed."""
        again = f',"execution":{execution}' if execution != 1 else ""
        lasted = f'"outcome":"passed","duration_s":{int(duration_s * 1e9)}e-9'
        return f'{{"event":"TestFinished","at":{int(at * 1e6)}e-6,{self._test_id},{lasted}{again}}}'


def parse_event(line: str | bytes, *, where: str = "journal") -> Event | None:
    """The event of one line; None for an event of a newer version; DecodeError for a line that is cut or foreign."""
    try:
        data = json.loads(line)
    except ValueError as error:
        what = f"{where} holds a line that is not JSON: {error}"
        raise DecodeError(what, hint="the worker was killed while it wrote; what stands before it counts") from error
    if not isinstance(data, dict) or not isinstance(data.get("event"), str):
        what = f"{where} holds a line without an event name"
        raise DecodeError(what, hint="this is not a journal of ci-tools")
    kind = _KINDS.get(data["event"])
    return None if kind is None else from_json(kind, data, where=f"{where}:{data['event']}")


def parse_journal(text: str, *, where: str = "journal") -> Iterator[Event]:
    """Every event of a journal's text. A cut last line is left out: its writer was killed; a bad line elsewhere raises."""
    lines = text.split("\n")
    complete, tail = lines[:-1], lines[-1]
    for number, line in enumerate(complete, start=1):
        if line.strip():
            event = parse_event(line, where=f"{where}:{number}")
            if event is not None:
                yield event
    if tail.strip():
        try:
            event = parse_event(tail, where=where)
        except DecodeError:
            return
        if event is not None:
            yield event
