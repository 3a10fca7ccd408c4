"""Charges: what the supervisor says, in a journal of its own, about tests whose worker cannot say it any more."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from ci_tools.model.case import Failure, Outcome
from ci_tools.model.journal import Event, PhaseFinished, SessionFinished, TestFinished, TimedOut, WorkerStarted, render_event
from ci_tools.model.shard import ShardRef
from ci_tools.model.worker import WorkerOrder
from ci_tools.workers.tail import SUPERVISOR, Flight

_THREAD = re.compile(r"^--- thread (.+?) \(\d+", re.MULTILINE)
_CHILD = re.compile(r"^--- child (.+)$", re.MULTILINE)
_MOST_NAMED = 10


class Charges:
    """The supervisor's journal. It comes into being with the first charge and ends with an end marker."""

    def __init__(self, order: WorkerOrder, on_event: Callable[[Event], None]) -> None:
        self._order = order
        self._on_event = on_event
        slug = ShardRef.parse(order.shard).slug
        self._path = Path(order.journal_dir) / f"journal-{slug}-{SUPERVISOR}-{os.getpid()}.jsonl"
        self._stream: TextIO | None = None
        self.test_ids: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._stream is not None:
            self._write(SessionFinished(at=time.time(), exit_status=0 if error is None else 1, finished=len(self.test_ids)))
            self._stream.close()

    def lose(self, flight: Flight, *, worker: str, generation: int, message: str) -> None:
        """Close one execution that we ended for no fault of its own: lost."""
        self._finish(flight, Outcome.LOST, worker, generation, message)

    def charge(
        self, flight: Flight, *, worker: str, generation: int, message: str, silent_s: float = 0.0, stacks: str = ""
    ) -> None:
        """Close one execution: timed_out where a deadline passed (its own or ``silent_s`` of silence), else crashed."""
        now = time.time()
        if silent_s and flight.timed_out is None:
            flight.timed_out = TimedOut(
                at=now, test_id=flight.test_id, phase=flight.phase, timeout_s=silent_s, stacks=stacks, ended_worker=True
            )
            self._write(flight.timed_out)
        outcome = Outcome.CRASHED if flight.timed_out is None else Outcome.TIMED_OUT
        if flight.timed_out is not None and not silent_s:
            message = f"no end of {flight.timed_out.phase} within {flight.timed_out.timeout_s:g} s; {message}"
        seen = flight.exit_requested or flight.timed_out
        failure = Failure(
            phase=flight.timed_out.phase if flight.timed_out else flight.phase,
            type_name="WorkerCrashed" if outcome is Outcome.CRASHED else "TimedOut",
            message=message,
            text=stacks or (seen.stacks if seen else ""),
        )
        self._write(
            PhaseFinished(
                at=now,
                test_id=flight.test_id,
                phase=failure.phase,
                result="failed",
                duration_s=0.0,
                failure=failure,
                reason=message,
            )
        )
        self._finish(flight, outcome, worker, generation, message)

    def _finish(self, flight: Flight, outcome: Outcome, worker: str, generation: int, message: str) -> None:
        now = time.time()
        self._write(
            TestFinished(
                at=now,
                test_id=flight.test_id,
                outcome=outcome,
                duration_s=max(now - flight.started_at, 0.0),
                execution=flight.execution,
                reason=message,
                properties={"charged_by": SUPERVISOR, "worker": worker, "generation": str(generation)},
            )
        )
        self.test_ids.add(flight.test_id)

    def _write(self, event: Event) -> None:
        if self._stream is None:
            self._stream = self._path.open("a", encoding="ascii")
            self._stream.write(render_event(self._start()) + "\n")
        self._stream.write(render_event(event) + "\n")
        self._stream.flush()
        self._on_event(event)

    def _start(self) -> WorkerStarted:
        return WorkerStarted(
            at=time.time(),
            run_id=self._order.run_id,
            worker=SUPERVISOR,
            pid=os.getpid(),
            role=SUPERVISOR,
            run_attempt=self._order.run_attempt,
            configuration=self._order.configuration,
            shard=self._order.shard,
            plan_digest=self._order.plan_digest,
            commit=self._order.commit,
        )


def describe_stuck(event: TimedOut) -> str:
    """``the interpreter's exit took longer than 7 s; still there: thread pool-1, child 4711 redis-server``."""
    named = [f"thread {name}" for name in _THREAD.findall(event.stacks) if name != "MainThread"]
    named += [f"child {child}" for child in _CHILD.findall(event.stacks)]
    lines = event.stacks.partition("--- thread MainThread ")[2].partition("\n---")[0].splitlines()
    last = next((line.strip() for line in reversed(lines) if line.lstrip().startswith("File ")), "")
    still = "; still there: " + ", ".join(named[:_MOST_NAMED]) if named else ""
    return f"{event.place or 'its end'} took longer than {event.timeout_s:g} s{still}" + (
        f"; it stands in {last}" if last else ""
    )


def describe_exit(returncode: int) -> str:
    """``exit code 3``, or a signal's name and number, with what usually sends it."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "signal"
    told = f"{name} ({-returncode})"
    return f"{told}, which the kernel also sends when memory runs out" if name == "SIGKILL" else told
