"""The supervisor: starts a worker, listens to its journals, ends it when it must, and goes on with what is left.

A worker lives for one generation. When it is gone and planned tests are not finished, the test in flight is charged
(crashed, or timed_out) and the next generation runs the rest, as long as each one gets further. So one test that
kills its process costs one result, not all that would have come after it.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from ci_tools.host import process
from ci_tools.host.files import write_text
from ci_tools.model.codec import dumps
from ci_tools.model.journal import STACKS_SUFFIX, Event, SessionFinished
from ci_tools.model.report import EndedBy, WorkerExit
from ci_tools.model.shard import ShardRef
from ci_tools.model.worker import ORDER_VARIABLE, WorkerOrder
from ci_tools.workers.charges import Charges, describe_exit, describe_stuck
from ci_tools.workers.command import WorkerCommand, order_name
from ci_tools.workers.stacks import dump_stacks
from ci_tools.workers.tail import Flight, Tail, Voice

MAX_GENERATIONS = 100
"""A suite in which more tests than this kill their worker has one cause, and it has been said a hundred times."""
COLLECTION_S = 600.0
"""How long a worker may be silent before its first test: imports of a large suite say nothing."""

SILENCE_S = 900.0
"""How long a process may be silent in a test where nobody said: its own deadlines, a mark of ten minutes too, come first."""

_OWN_END_S = 2.0
"""A worker that hangs on its way out ends itself, and says what kept it: it knows more than we do."""
_LISTEN_S = 0.05
_GRACE_S = 1.5  # an interrupted run is to be over within 3 s, and what is left behind takes its part of it
_STRAYS_GRACE_S = 0.5
_TAIL_BYTES = 8_000
_ENDED_BY_US = frozenset({EndedBy.INTERRUPT, EndedBy.RUN_DEADLINE})  # nobody is to blame, and nobody wants the rest to run
_INTERRUPTED = 2  # pytest's exit statuses that mean: nobody wants the rest to run
_USAGE_ERROR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Monotonic ``deadline`` of the whole run; seconds of silence in a test, before the first one, and at exit.

    ``stopped_s`` is for the silence of a process that the system shows as stopped: it can't watch over itself.
    """

    deadline: float
    silence_s: float
    stopped_s: float
    collection_s: float
    exit_s: float


@dataclass(slots=True)
class _Generation:
    """One worker process from start to end."""

    order: WorkerOrder
    command: WorkerCommand
    tail: Tail
    output: Path
    began: float = field(default_factory=time.monotonic)
    ended_by: EndedBy = EndedBy.ITSELF
    returncode: int = 0
    messages: list[str] = field(default_factory=list)
    silenced: dict[str, tuple[float, str]] = field(default_factory=dict)
    """By test ID: the seconds of silence for which its worker was ended, and the stacks seen then."""

    @property
    def is_whole(self) -> bool:
        """Whether the session came to its end marker."""
        return self.tail.session is not None


def supervise(
    command_for: Callable[[WorkerOrder], WorkerCommand],
    order: WorkerOrder,
    *,
    folder: Path,
    cwd: Path,
    deadline_s: float | None = None,
    silence_s: float = 0.0,
    collection_s: float = COLLECTION_S,
    on_event: Callable[[Event], None] = lambda _: None,
    is_interrupted: Callable[[], bool] = lambda: False,
    max_generations: int = MAX_GENERATIONS,
) -> tuple[WorkerExit, ...]:
    """Run ``order`` to its end in as many generations as it takes; how each one's worker ended, in order.

    Orders and the workers' output are written into ``folder``, journals into ``order.journal_dir``. ``command_for`` gives
    the command of a generation; the order's file is ``folder / order_name(order)``. ``deadline_s`` is for all generations
    together. A worker that says nothing for ``silence_s`` seconds within a test is ended and the test charged as timed_out;
    0 takes the order's guard settings, else a time that no test of the suite should need. When ``is_interrupted`` answers yes
    everything is stopped within 3 s. Nothing that a worker started is left running. OSError when a worker cannot be started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    Path(order.journal_dir).mkdir(parents=True, exist_ok=True)
    process.become_subreaper()
    limits = Limits(
        deadline=time.monotonic() + deadline_s if deadline_s is not None else float("inf"),
        silence_s=silence_s or order.guard.silence_s or max(_patience_s(order), SILENCE_S),
        stopped_s=silence_s or order.guard.silence_s or _patience_s(order),
        collection_s=collection_s,
        exit_s=order.guard.exit_s + _OWN_END_S,
    )
    exits: list[WorkerExit] = []
    with Charges(order, on_event) as charges:
        while True:
            generation = _run(command_for, order, folder, cwd, limits, on_event, is_interrupted)
            _charge(generation, charges)
            following = _next_order(generation, charges)
            if following is not None and len(exits) + 1 >= max_generations:
                generation.messages.append(f"{max_generations} workers were started, no more are: the rest is lost")
                following = None
            exits.append(_exit(generation))
            if following is None:
                return tuple(exits)
            order = following


def _patience_s(order: WorkerOrder) -> float:
    """What a test and its tear-down may take with every grace period; for ever where no timeout is set."""
    guard = order.guard
    return 2 * guard.timeout_s + guard.teardown_s + 4 * guard.grace_s if guard.timeout_s else float("inf")


def _run(
    command_for: Callable[[WorkerOrder], WorkerCommand],
    order: WorkerOrder,
    folder: Path,
    cwd: Path,
    limits: Limits,
    on_event: Callable[[Event], None],
    is_interrupted: Callable[[], bool],
) -> _Generation:
    """One worker from start to end; nothing of it is left when this returns."""
    command = command_for(order)
    order_path = folder / order_name(order)
    write_text(order_path, dumps(order))
    if command.argument_path:
        write_text(Path(command.argument_path), command.argument_text)
    slug = ShardRef.parse(order.shard).slug
    output = folder / f"output-{slug}-{order.generation}.log"
    generation = _Generation(order=order, command=command, tail=Tail(Path(order.journal_dir), slug), output=output)
    mine = {child.pid for child in psutil.Process().children(recursive=True)}
    env = {**command.env, ORDER_VARIABLE: str(order_path)}
    try:
        with process.start(command.argv, env=env, cwd=cwd, output=output, end_signal="INT") as worker:
            _listen(generation, worker, limits, on_event, is_interrupted)
    finally:
        left = process.end_descendants(_STRAYS_GRACE_S, allow=mine)
    if left:
        named = ", ".join(f"{stray.name} (pid {stray.pid})" for stray in left[:5])
        generation.messages.append(f"{len(left)} process(es) left behind by tests were ended: {named}")
    for event in generation.tail.read():
        on_event(event)
    return generation


def _listen(
    generation: _Generation,
    worker: process.GuardedProcess,
    limits: Limits,
    on_event: Callable[[Event], None],
    is_interrupted: Callable[[], bool],
) -> None:
    """Follow the worker until it is gone, and end it when it is time."""
    grace_s = 0.0
    while worker.wait(_LISTEN_S) is None:
        for event in generation.tail.read():
            on_event(event)
        now = time.monotonic()
        if is_interrupted():
            generation.ended_by, grace_s = EndedBy.INTERRUPT, _GRACE_S
            generation.messages.append("ended because the run was interrupted")
            break
        if now >= limits.deadline:
            generation.ended_by, grace_s = EndedBy.RUN_DEADLINE, _GRACE_S
            generation.messages.append("ended because the time of the whole run was over")
            break
        if _hangs_at_exit(generation, now, limits) or _is_silent(generation, worker, now, limits):
            generation.ended_by = EndedBy.SILENCE
            break
        _end_silent_workers(generation, worker, now, limits)
    generation.returncode = worker.end(grace_s)
    if generation.ended_by is EndedBy.ITSELF and generation.returncode < 0:
        generation.ended_by = EndedBy.SIGNAL
    for event in generation.tail.read():
        on_event(event)
    _note_own_end(generation)


def _note_own_end(generation: _Generation) -> None:
    """Why the worker ended itself, as far as its journals say."""
    if generation.ended_by is EndedBy.ITSELF and any(
        flight.timed_out and flight.timed_out.ended_worker for _, flight in generation.tail.flights
    ):
        generation.ended_by = EndedBy.TEST_DEADLINE
    for voice in generation.tail.voices.values():
        for event in voice.stuck:
            generation.messages.append(f"worker {voice.name}: {describe_stuck(event)}")
            if generation.ended_by is EndedBy.ITSELF:
                generation.ended_by = EndedBy.SILENCE


def _hangs_at_exit(generation: _Generation, now: float, limits: Limits) -> bool:
    if generation.tail.session is None or now - generation.tail.heard < limits.exit_s:
        return False
    generation.messages.append(f"the process was still there {limits.exit_s:g} s after its session had finished: it was ended")
    return True


def _is_silent(generation: _Generation, worker: process.GuardedProcess, now: float, limits: Limits) -> bool:
    """Whether the started process itself says nothing for too long: in its test, before its first, or between tests."""
    tail = generation.tail
    if tail.session is not None:
        return False
    if not any(voice.has_collected for voice in tail.voices.values()):
        silent_s = now - max(tail.heard, generation.began)
        if silent_s < limits.collection_s:
            return False
        stacks = dump_stacks(worker.pid, generation.output)
        generation.messages.append(f"silent for {silent_s:.0f} s before its first test: it was ended\n{stacks}".rstrip())
        return True
    own = next((voice for voice in tail.voices.values() if voice.start and voice.start.pid == worker.pid), None)
    if own is None or not _is_past(limits, worker.pid, now - (own.heard if own.runs_tests else tail.heard)):
        return False
    if own.runs_tests:
        _silence(generation, own, worker.pid, now)
    else:  # pytest-xdist's controller may say nothing as long as its workers do
        generation.messages.append(f"no process said anything for {now - tail.heard:.0f} s: all were ended")
    return True


def _is_past(limits: Limits, pid: int, silent_s: float) -> bool:
    if silent_s < limits.stopped_s:
        return False
    if silent_s >= limits.silence_s:
        return True
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False


def _end_silent_workers(generation: _Generation, worker: process.GuardedProcess, now: float, limits: Limits) -> None:
    """End each pytest-xdist worker that is silent within a test; its controller starts another one."""
    for voice in generation.tail.voices.values():
        is_other = voice.start is not None and voice.start.pid != worker.pid and voice.runs_tests
        if is_other and voice.flights and not voice.session and not voice.flights.keys() <= generation.silenced.keys():
            pid = voice.start.pid if voice.start else 0
            if not _is_past(limits, pid, now - voice.heard):
                continue
            _silence(generation, voice, pid, now)
            with contextlib.suppress(psutil.Error):
                if worker.pid in {parent.pid for parent in psutil.Process(pid).parents()}:
                    psutil.Process(pid).kill()


def _silence(generation: _Generation, voice: Voice, pid: int, now: float) -> None:
    silent_s = now - voice.heard
    stacks = dump_stacks(pid, generation.output)
    for test_id in voice.flights:
        generation.silenced[test_id] = (silent_s, stacks)
    what = ", ".join(voice.flights) or "no test in flight"
    generation.messages.append(f"worker {voice.name} was silent for {silent_s:.0f} s ({what}): it was ended")


def _charge(generation: _Generation, charges: Charges) -> None:
    """Close every execution that its worker left open."""
    for voice, flight in generation.tail.flights:
        if generation.ended_by in _ENDED_BY_US:
            message = f"started, not finished: its worker was {generation.messages[0]}"
            charges.lose(flight, worker=voice.name, generation=generation.order.generation, message=message)
            continue
        silent_s, stacks = generation.silenced.get(flight.test_id, (0.0, ""))
        if not silent_s and flight.timed_out is None:
            silent_s, stacks = _switched_off(voice, flight)
        charges.charge(
            flight,
            worker=voice.name,
            generation=generation.order.generation,
            message=_reason(generation, voice, flight, silent_s),
            silent_s=silent_s,
            stacks=stacks,
        )


def _switched_off(voice: Voice, flight: Flight) -> tuple[float, str]:
    """Seconds and stacks when the worker's dead man's switch ended it: the test kept the interpreter's lock to the end."""
    try:
        stacks = voice.path.with_suffix(STACKS_SUFFIX).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return 0.0, ""
    return (max(time.time() - flight.started_at, 0.001), stacks) if stacks else (0.0, "")


def _reason(generation: _Generation, voice: Voice, flight: Flight, silent_s: float) -> str:
    if silent_s:
        return f"worker {voice.name} said nothing for {silent_s:.0f} s in the {flight.phase} of this test and was ended"
    if flight.exit_requested is not None:
        return f"the code under test ended its process with os._exit({flight.exit_requested.code})"
    if voice.session is not None:
        return f"the session ended with status {voice.session.exit_status} while this test ran"
    is_own = not any(other.name == "controller" for other in generation.tail.voices.values())
    if is_own:
        return f"worker {voice.name} ended with {describe_exit(generation.returncode)} while this test ran"
    told = next((crash.message for crash in generation.tail.crashes if crash.worker == voice.name and crash.message), "")
    return f"worker {voice.name} ended while this test ran" + (f": {told}" if told else "")


def _next_order(generation: _Generation, charges: Charges) -> WorkerOrder | None:
    """The order for what is left; None when nothing is, when nobody wants it run, or when the worker got nowhere."""
    order, tail = generation.order, generation.tail
    done = {*order.finished, *tail.finished, *charges.test_ids}
    left = _planned(order, tail) - done
    if not left:
        return None
    if generation.ended_by in _ENDED_BY_US:
        return None
    # A file that hung while it was imported has had its say: without it the next worker gets further.
    has_progress = len(done) > len(order.finished) or (bool(tail.broken) and not tail.collected)
    reason = _stop_reason(generation, tail.session, has_progress=has_progress)
    if reason:
        generation.messages.append(f"{reason}: {len(left)} test(s) did not run")
        return None
    files = None
    if order.files is not None:
        files = tuple(file for file in order.files if not left.isdisjoint(file.test_ids))
    return replace(order, generation=order.generation + 1, finished=tuple(sorted(done)), files=files)


def _planned(order: WorkerOrder, tail: Tail) -> set[str]:
    """What this worker was to finish, but for files that it could not import."""
    if order.files is None:
        return set(tail.collected)
    return {test_id for file in order.files if file.path not in tail.broken for test_id in file.test_ids}


def _stop_reason(generation: _Generation, session: SessionFinished | None, *, has_progress: bool) -> str:
    tail = generation.tail
    if tail.refusal is not None:
        return f"the plan was refused ({tail.refusal.message.splitlines()[0]})"
    if generation.command.stops_early and (session is not None or tail.flights):
        return "pytest stopped early, as it was asked to (-x, --maxfail or --stepwise)"
    if session is not None and _INTERRUPTED <= session.exit_status <= _USAGE_ERROR:
        return f"pytest ended its session with status {session.exit_status}"
    if not has_progress:
        return f"the worker ended with {describe_exit(generation.returncode)} before it finished any test"
    return ""


def _exit(generation: _Generation) -> WorkerExit:
    return WorkerExit(
        worker=ShardRef.parse(generation.order.shard).process(generation.order.generation),
        returncode=generation.returncode,
        ended_by=generation.ended_by,
        # One that had to be ended on its way out has not come to the end of its session by itself.
        finished_session=generation.is_whole and generation.ended_by is not EndedBy.SILENCE,
        duration_s=time.monotonic() - generation.began,
        command=generation.command.argv,
        output_tail=_output_tail(generation.output),
        message="\n".join(generation.messages),
    )


def _output_tail(output: Path) -> str:
    try:
        with output.open("rb") as stream:
            stream.seek(max(output.stat().st_size - _TAIL_BYTES, 0))
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
