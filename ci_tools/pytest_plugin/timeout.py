"""Timeouts: a deadline for every test that leaves every other result intact.

pytest-timeout's mark, option, ini key and variable stay the user's words; its timer is taken over through its own
hooks. A test that is out of time is first asked: an async test is cancelled, sync code is interrupted where it stands,
and tear-down runs on a budget of its own. What does not come back ends with its process, while it is still the current
test, its stacks in the journal first.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.guard import GuardPolicy
from ci_tools.model.journal import PhaseFinished, TimedOut
from ci_tools.pytest_plugin.exits import ExitGuard
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.stacks import await_codes, render_stacks
from ci_tools.pytest_plugin.watchdog import STAGES, Deadline, Watchdog

if TYPE_CHECKING:
    import asyncio

_LEAST_FINISH_S = 60.0
"""Session finish gets at least this: plugins write their reports there."""


class TimedOutError(pytest.fail.Exception):  # type: ignore[misc,name-defined] # public, but only an attribute
    """The test's budget is over."""


class Settings(Protocol):
    """What pytest-timeout makes of its mark, option, ini key and variable."""

    timeout: float
    func_only: bool
    disable_debugger_detection: bool


class Timeouts(Guard):
    """Gives the watchdog its deadlines, and does what it asks for."""

    def __init__(
        self,
        policy: GuardPolicy,
        *,
        position: Position,
        recording: Recording,
        ownership: Ownership,
        exits: ExitGuard,
        journal: Journal | None,
        say: Callable[[str], None],
    ) -> None:
        self._policy = policy
        self._position = position
        self._recording = recording
        self._ownership = ownership
        self._exits = exits
        self._say = say
        self._journal = journal
        self._watchdog = Watchdog(self._act, exits.leave, journal.stacks_path if journal else None)
        self._settings: Settings | None = None
        self._settings_item: pytest.Item | None = None
        self._is_off = False
        self._previous_handler: Any = None
        self._has_handler = False

    # The session

    def start(self) -> None:
        """Begin to watch; called in the main thread."""
        self._has_handler = _can_interrupt()
        if self._has_handler:
            self._previous_handler = signal.signal(_INTERRUPT, self._interrupt)
        self._watchdog.start()

    def begin_finish(self) -> None:
        """Session finish is bounded too."""
        if not self._is_off:
            timeout_s = max(self._policy.exit_s, self._policy.timeout_s or _LEAST_FINISH_S)
            self._watch(timeout_s, "the session's finish", asks=False)

    def begin_exit(self, timeout_s: float) -> None:
        """The session is over: the interpreter's way out is bounded."""
        if self._has_handler:
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(_INTERRUPT, self._previous_handler)
            self._has_handler = False
        if self._is_off:
            self._watchdog.stop()
        else:
            self._watchdog.watch_exit(timeout_s, self._policy.grace_s)

    def stop(self) -> None:
        """Watch no more."""
        self._watchdog.stop()

    def tidy(self) -> None:
        """Remove what was never needed."""
        self._watchdog.tidy()

    # pytest-timeout's hooks

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Settings) -> bool:
        """Take the user's words over; ours is the timer."""
        if self._position.phase is Phase.CALL:  # func_only
            self._watch(settings.timeout, "the test function")
        else:
            self._settings, self._settings_item = settings, item
        return True

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> bool:
        """Keep the deadline: pytest-timeout cancels at the first failure, and a tear-down that hangs then has no end."""
        return True

    def pytest_enter_pdb(self) -> None:
        """Somebody debugs: no deadline any more in this session."""
        self._is_off = True
        self._watchdog.allow_anything()

    # A guard

    def begin_test(self, item: pytest.Item) -> None:
        """The budget of a whole execution begins with its set-up, anew for each rerun."""
        if self._is_off:
            return
        timeout_s = self._timeout_of(item)
        if timeout_s > 0:
            self._watch(timeout_s, "the test")
        else:
            self._watchdog.allow_anything()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """A phase in which time ran out fails for that, whatever it raised; tear-down gets a budget of its own."""
        deadline = self._watchdog.deadline
        if deadline is None:
            return error
        if not deadline.is_over:
            if phase is Phase.TEARDOWN:
                self._watchdog.rest()
            elif phase is Phase.CALL and deadline.what == "the test function":
                self._watchdog.allow_anything()
            return error
        if phase is Phase.TEARDOWN:
            self._watchdog.rest()
        else:
            self._watch(self._policy.teardown_s, "tear-down after a timeout")
        if isinstance(error, TimedOutError):
            return error
        # With the traceback of what it raised: a cancelled test shows where it was waiting.
        timed_out: BaseException = TimedOutError(self._message(deadline), pytrace=error is not None)
        return timed_out.with_traceback(error.__traceback__ if error is not None else None)

    def _timeout_of(self, item: pytest.Item) -> float:
        settings = self._settings
        if settings is not None and self._settings_item is item:
            return settings.timeout
        return 0.0 if _has_user_words(item) else self._policy.timeout_s

    def _watch(self, timeout_s: float, what: str, *, asks: bool = True) -> None:
        at = time.monotonic() + timeout_s
        self._watchdog.watch(Deadline(at=at, timeout_s=timeout_s, grace_s=self._policy.grace_s, what=what, asks=asks))

    def _message(self, deadline: Deadline) -> str:
        place = f", and time ran out in {self._position.place}" if self._position.test_id else ""
        return f"timed out: {deadline.what} had {deadline.timeout_s:g} s{place}"

    # In the watchdog's thread

    def _act(self, deadline: Deadline, stage: int) -> None:
        if stage == STAGES:
            self._end_process(deadline)
            return
        if stage == 1:
            self._write(deadline, ended_worker=False)
            execution = self._recording.execution
            if execution is not None:
                execution.is_timed_out = True
        if self._has_handler and self._position.phase is not None:
            _poke()

    def _write(self, deadline: Deadline, *, ended_worker: bool) -> str:
        stacks = render_stacks(list(self._ownership.loops))
        execution = self._recording.execution
        self._recording.write(
            TimedOut(
                at=time.time(),
                test_id=execution.test_id if execution else self._position.test_id,
                phase=self._position.phase or Phase.TEARDOWN,
                timeout_s=deadline.timeout_s,
                stacks=stacks,
                ended_worker=ended_worker,
            ),
        )
        return stacks

    def _end_process(self, deadline: Deadline) -> None:
        message = self._message(deadline)
        children = _children()
        if children:
            message += "\nchildren: " + ", ".join(children)
        phase = self._position.phase or Phase.TEARDOWN
        stacks = self._write(deadline, ended_worker=True)
        execution = self._recording.execution
        if execution is not None:
            failure = Failure(phase=phase, type_name=TimedOutError.__qualname__, message=message, text=f"{message}\n{stacks}")
            self._recording.write(
                PhaseFinished(
                    at=time.time(),
                    test_id=execution.test_id,
                    phase=phase,
                    result="failed",
                    duration_s=time.perf_counter() - self._position.phase_began,
                    failure=failure,
                ),
            )
            self._recording.finish(execution, Outcome.TIMED_OUT, reason=message)
        journal = f"\njournal: {self._journal.path}" if self._journal else ""
        self._say(f"\nci-tools: {message}\nit did not come back, so this process is ended\n{stacks}{journal}")
        self._watchdog.tidy()
        _end_children()

    # In the main thread

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Runs where the main thread stands: cancel the async test, or raise."""
        __tracebackhide__ = True
        deadline = self._watchdog.deadline
        if deadline is None or not deadline.is_over or self._position.phase is None:
            return
        if _is_debugged():
            self.pytest_enter_pdb()
            return
        loop = _running_loop()
        if loop is None:
            raise TimedOutError(self._message(deadline))
        import asyncio  # noqa: PLC0415 - loaded already: one of its loops runs here

        if deadline.stage > 1 and asyncio.current_task(loop) is not None:
            # Blocking code inside a task. Never raise into the loop itself: its callbacks would be lost.
            raise TimedOutError(self._message(deadline))
        for task in self._targets(loop):
            loop.call_soon_threadsafe(task.cancel, "the test timed out")  # a bare cancel() does not wake the loop

    def _targets(self, loop: "asyncio.AbstractEventLoop") -> list["asyncio.Task[Any]"]:
        """The tasks that run the test: by its code in their await chains, else those that the loop was started for."""
        import asyncio  # noqa: PLC0415 - as above

        tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        code = _code_of(self._position.item)
        running = [task for task in tasks if code is not None and code in await_codes(task.get_coro())]
        if running and self._position.phase is Phase.CALL:
            return running
        owner = self._ownership.test
        owners = [owner, *self._ownership.fixtures.values()] if owner else list(self._ownership.fixtures.values())
        roots = [task for one in owners for task, record in one.pending() if record.is_root and task.get_loop() is loop]
        return roots or tasks


_INTERRUPT = getattr(signal, "SIGURG", None) or signal.SIGINT
"""By default ignored, used by hardly any code, and it interrupts a blocking call. (Windows has none: see _can_interrupt.)"""


def _can_interrupt() -> bool:
    """Whether our signal may be used: POSIX, main thread, and nobody else's."""
    if not hasattr(signal, "pthread_kill") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(_INTERRUPT) in {signal.SIG_DFL, signal.SIG_IGN}


def _poke() -> None:
    ident = threading.main_thread().ident
    if ident is not None:
        with contextlib.suppress(OSError):
            signal.pthread_kill(ident, _INTERRUPT)


def _running_loop() -> "asyncio.AbstractEventLoop | None":
    if "asyncio" not in sys.modules:
        return None
    import asyncio  # noqa: PLC0415 - loaded already

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _has_user_words(item: pytest.Item) -> bool:
    """Whether pytest-timeout was told anything, be it 0: then our default has no say."""
    config = item.config
    if item.get_closest_marker("timeout") is not None or os.environ.get("PYTEST_TIMEOUT"):
        return True
    if not config.pluginmanager.hasplugin("timeout"):
        return False
    return config.getoption("timeout", default=None) is not None or config.getini("timeout") not in {None, ""}


def _is_debugged() -> bool:
    module = sys.modules.get("pytest_timeout")
    return bool(module is not None and module.is_debugging())


def _code_of(item: pytest.Item | None) -> CodeType | None:
    function: Any = getattr(item, "obj", None)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _children() -> list[str]:
    import psutil  # noqa: PLC0415 - only when a process is about to be ended

    lines = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                lines.append(f"{child.pid} {' '.join(child.cmdline()) or child.name()}")
    return lines


def _end_children() -> None:
    import psutil  # noqa: PLC0415 - as above

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
