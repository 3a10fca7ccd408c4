"""The watchdog: a thread that polls one deadline, and a dead man's switch for when threads no longer run.

The deadline is one attribute, written by the main thread. The watchdog acts on it in stages: ask, ask again, end the
process. A C call that keeps the interpreter's lock stops the watchdog too; so it rewinds the switch twice a second, and
where nobody rewinds it, the switch writes the stacks to a file and ends the process.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.ownership import unowned
from ci_tools.pytest_plugin.switch import Switch

POLL_S = 0.05
_REWIND_S = 0.5
_SWITCH_SLACK_S = 1.0
"""The switch fires this much after the watchdog would have ended the process itself."""
_TOO_LATE_S = 1.0
"""A switch that stands is good enough for a new deadline unless it fires more than this after it should."""
_PAUSE_S = 1.0
"""For the thread to be gone before a fork; it wakes at once unless it is just writing stacks."""

STAGES = 3
"""Ask, ask again, end."""
_LAST_STAGE = STAGES / (STAGES - 1)
"""How many graces after the deadline the last stage is over."""


@dataclass(slots=True, eq=False)
class Deadline:
    """One budget: when it is over (monotonic), how long it was, and how far the watchdog has gone with it."""

    at: float
    timeout_s: float
    grace_s: float
    what: str = ""
    asks: bool = True
    """Whether there is a test that can be asked to end; the process is ended at once otherwise."""
    stage: int = 0
    next_at: float = field(init=False)

    def __post_init__(self) -> None:
        """The first stage comes when the budget is over, each further one half a grace later."""
        self.next_at = self.at

    @property
    def is_over(self) -> bool:
        """Whether the watchdog has acted on it."""
        return self.stage > 0


class Watchdog:
    """Watches over one deadline at a time. ``act`` is called in the watchdog's thread, with the stage from 1 to ``STAGES``."""

    def __init__(self, act: Callable[[Deadline, int], None], leave: Callable[[], None], stacks_path: Path | None) -> None:
        self.deadline: Deadline | None = None
        self._act = act
        self._leave = leave
        self._exit_deadline: Deadline | None = None
        self._switch = Switch(stacks_path)
        self.tidy = self._switch.tidy
        """Remove the file of stacks if nothing was written to it."""
        self._thread: threading.Thread | None = None
        self._is_paused = threading.Event()
        self._is_stopped = False
        self._knows_forks = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to watch."""
        self._switch.open()
        self._run_thread()
        if hasattr(os, "register_at_fork") and not self._knows_forks:
            self._knows_forks = True
            # Python warns of a fork in a process with threads, from 3.12 on; a suite that turns warnings into errors
            # must not fail because we watch it.
            os.register_at_fork(before=self._pause, after_in_parent=self._resume)

    def _run_thread(self) -> None:
        self._thread = threading.Thread(target=self._run, name="ci-tools watchdog", daemon=True)
        with unowned():  # a fork in a test makes it start again
            self._thread.start()

    def _pause(self) -> None:
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        self._is_paused.set()
        thread.join(_PAUSE_S)
        with self._lock:
            self._switch.cancel()

    def _resume(self) -> None:
        if self._thread is not None and self._is_paused.is_set() and not self._is_stopped:
            self._thread.join(_PAUSE_S)
            self._is_paused.clear()
            self._run_thread()

    def stop(self) -> None:
        """Watch no more, and take the switch away."""
        self.deadline = None
        self._is_stopped = True
        self._is_paused.set()
        with self._lock:
            self._switch.close()

    def watch(self, deadline: Deadline) -> None:
        """Watch this one from now on."""
        self.deadline = deadline
        self._switch.reclaim()
        stands_at = self._switch.fires_at
        # Mostly: it stands for the test before, which had as long.
        if 0 < stands_at <= deadline.at + deadline.grace_s * _LAST_STAGE + _SWITCH_SLACK_S + _TOO_LATE_S:
            return
        fires_at = _switch_time(deadline)
        # Between two polls the code under test can take the interpreter's lock for good; arming for each test would
        # start a thread each time.
        if not stands_at or fires_at + _TOO_LATE_S < stands_at:
            with self._lock:
                self._switch.arm(fires_at)

    def rest(self) -> None:
        """Watch nothing until the next deadline comes."""
        self.deadline = None

    def allow_anything(self) -> None:
        """Watch nothing, and be sure that the switch does not fire either: this test has no deadline."""
        self.deadline = None
        with self._lock:
            self._switch.cancel()

    def watch_exit(self, timeout_s: float, grace_s: float) -> None:
        """From now on only the interpreter's way out counts: its clock starts when the main thread is done."""
        self._exit_deadline = Deadline(at=0.0, timeout_s=timeout_s, grace_s=grace_s, what="the interpreter's exit", asks=False)
        self.deadline = None

    def _run(self) -> None:
        rewind_at = 0.0
        while not self._is_paused.wait(POLL_S):
            now = CLOCK.monotonic()
            if self._exit_deadline is not None and self.deadline is None and _is_leaving():
                self._exit_deadline.at = self._exit_deadline.next_at = now + self._exit_deadline.timeout_s
                self.deadline = self._exit_deadline
            deadline = self.deadline
            if now >= rewind_at:
                rewind_at = now + _REWIND_S
                self._rewind(deadline)
            if deadline is not None and now >= deadline.next_at and self.deadline is deadline:
                deadline.stage = deadline.stage + 1 if deadline.asks else STAGES
                deadline.next_at = now + deadline.grace_s / (STAGES - 1)
                with contextlib.suppress(Exception):  # whatever the code under test has done to the process: the next stage comes
                    self._act(deadline, deadline.stage)
                if deadline.stage >= STAGES:
                    self._leave()

    def _rewind(self, deadline: Deadline | None) -> None:
        with self._lock:
            if self._is_stopped or self._is_paused.is_set() or self.deadline is not deadline:
                return
            if deadline is None:
                self._switch.cancel()
            else:
                self._switch.arm(_switch_time(deadline))


def _is_leaving() -> bool:
    """Whether the interpreter is on its way out: the main thread is done, or it joins the threads of executors first."""
    main = threading.main_thread()
    if not main.is_alive():
        return True
    frame = sys._current_frames().get(main.ident or 0)  # noqa: SLF001 - documented for exactly this
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and frame.f_globals is vars(threading) and frame.f_code.co_name == "_shutdown"


def _switch_time(deadline: Deadline) -> float:
    return max(deadline.at, CLOCK.monotonic()) + deadline.grace_s * _LAST_STAGE + _SWITCH_SLACK_S
