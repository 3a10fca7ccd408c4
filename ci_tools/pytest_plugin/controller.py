"""Controller: what ties a pytest-xdist worker to the process that distributes the tests, and ends it with that process.

By itself a worker goes on for five seconds once its controller is interrupted or dead, and its servers live as long.
"""

import contextlib
import os
import signal
import sys
import threading
from typing import Self

import pytest

from ci_tools.host.process import watch_parent
from ci_tools.pytest_plugin.exits import ENDED_BY_GUARD
from ci_tools.pytest_plugin.ownership import unowned

_GRACE_S = 2.0
"""For the fixtures of an orphaned worker to be torn down, after pytest has written a traceback that nobody will see; what
was started under a guard ends in any case."""


class Controlled:
    """In a worker: it ends when its controller is gone, and its fixtures are torn down undisturbed by a second Ctrl-C."""

    def __init__(self) -> None:
        self._exit = os._exit  # the real one: no guard stands before it yet
        self._ended = threading.Event()
        with unowned():
            self._watch = watch_parent(self._end)

    @classmethod
    def start(cls, plugins: pytest.PytestPluginManager) -> Self:
        """Watch the controller from now on."""
        controlled = cls()
        plugins.register(controlled, "ci_tools_controlled")
        return controlled

    def stop(self) -> None:
        """The session is over: the process ends by itself."""
        self._ended.set()
        self._watch.set()

    def pytest_keyboard_interrupt(self) -> None:
        """A terminal, the controller and execnet each send a SIGINT for one Ctrl-C: the first is enough."""
        with contextlib.suppress(ValueError):  # not in the main thread: nobody interrupts us there
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _end(self) -> None:
        if sys.platform == "win32":
            import _thread  # noqa: PLC0415 - where no signal can be sent to a thread

            _thread.interrupt_main()
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        if not self._ended.wait(_GRACE_S):
            self._exit(ENDED_BY_GUARD)


class Controlling:
    """In the controller: passes a Ctrl-C on to workers of this machine, which did not get it when it was sent to us alone."""

    def __init__(self) -> None:
        self._nodes: list[object] = []

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: object) -> None:
        """Remember a worker."""
        self._nodes.append(node)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Interrupt every worker. ``--maxfail`` comes here too, as a subclass: then tests that run may end as they like."""
        if excinfo.type is not KeyboardInterrupt or sys.platform == "win32":
            return
        for node in self._nodes:
            # A worker elsewhere has no process here.
            worker = getattr(getattr(node.gateway, "_io", None), "popen", None)  # type: ignore[attr-defined] # WorkerController
            if worker is not None and worker.poll() is None:
                worker.send_signal(signal.SIGINT)
