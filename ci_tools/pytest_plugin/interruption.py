"""Interruption: the gentle way to end a test, in the main thread: cancel the tasks that run it, or raise where it stands."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.position import Position, code_of
from ci_tools.pytest_plugin.stacks import await_codes

if TYPE_CHECKING:
    import asyncio

_INTERRUPT = getattr(signal, "SIGURG", None) or signal.SIGINT
"""By default ignored, used by hardly any code, and it interrupts a blocking call. (Windows has none: see _can_interrupt.)"""


class Interruption:
    """A signal to the main thread.

    ``stage_now`` says how often the test has been asked, 0 when it is not to be; ``error_now`` is what is raised.
    """

    def __init__(
        self,
        position: Position,
        ownership: Ownership,
        stage_now: Callable[[], int],
        error_now: Callable[[], BaseException],
        on_debugger: Callable[[], None],
    ) -> None:
        self._position = position
        self._ownership = ownership
        self._stage_now = stage_now
        self._error_now = error_now
        self._on_debugger = on_debugger
        self._previous: Any = None
        self._is_installed = False

    def install(self) -> None:
        """Take the signal, if it is nobody else's; called in the main thread."""
        self._is_installed = _can_interrupt()
        if self._is_installed:
            self._previous = signal.signal(_INTERRUPT, self._interrupt)

    def remove(self) -> None:
        """Give the signal back."""
        if self._is_installed:
            with contextlib.suppress(ValueError, TypeError):
                signal.signal(_INTERRUPT, self._previous)
            self._is_installed = False

    def send(self) -> None:
        """Ask; called in the watchdog's thread."""
        ident = threading.main_thread().ident
        if self._is_installed and ident is not None:
            with contextlib.suppress(OSError):
                signal.pthread_kill(ident, _INTERRUPT)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Runs where the main thread stands: cancel the async test, or raise."""
        __tracebackhide__ = True
        stage = self._stage_now()
        if stage == 0 or self._position.phase is None or self._position.examined_at:
            return
        if _is_debugged():
            self._on_debugger()
            return
        loop = _running_loop()
        if loop is None:
            raise self._error_now()
        import asyncio  # noqa: PLC0415 - loaded already: one of its loops runs here

        if stage > 1 and asyncio.current_task(loop) is not None:
            # Blocking code inside a task. Never raise into the loop itself: its callbacks would be lost.
            raise self._error_now()
        for task in self._targets(loop):
            loop.call_soon_threadsafe(task.cancel, "the test timed out")  # a bare cancel() does not wake the loop

    def _targets(self, loop: "asyncio.AbstractEventLoop") -> list["asyncio.Task[Any]"]:
        """The tasks that run the test: by its code in their await chains, else those that the loop was started for."""
        import asyncio  # noqa: PLC0415 - as above

        tasks = [task for task in asyncio.all_tasks(loop) if not task.done()]
        code = code_of(self._position.item)
        running = [task for task in tasks if code is not None and code in await_codes(task.get_coro())]
        if running and self._position.phase is Phase.CALL:
            return running
        owner = self._ownership.test
        owners = [owner, *self._ownership.fixtures.values()] if owner else list(self._ownership.fixtures.values())
        roots = [task for one in owners for task, record in one.pending() if record.is_root and task.get_loop() is loop]
        return roots or tasks


def _can_interrupt() -> bool:
    """Whether our signal may be used: POSIX, main thread, and nobody else's."""
    if not hasattr(signal, "pthread_kill") or threading.current_thread() is not threading.main_thread():
        return False
    return signal.getsignal(_INTERRUPT) in {signal.SIG_DFL, signal.SIG_IGN}


def _running_loop() -> "asyncio.AbstractEventLoop | None":
    if "asyncio" not in sys.modules:
        return None
    import asyncio  # noqa: PLC0415 - loaded already

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_debugged() -> bool:
    module = sys.modules.get("pytest_timeout")
    return bool(module is not None and module.is_debugging())
