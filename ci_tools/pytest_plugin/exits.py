"""Exits: code under test that ends the whole process with ``os._exit`` cannot end the run with a green exit code."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from ci_tools.pytest_plugin.clock import CLOCK

if TYPE_CHECKING:
    from ci_tools.pytest_plugin.position import Position
    from ci_tools.pytest_plugin.recording import Recording

ENDED_BY_GUARD = 70
"""Exit code of a process that a guard ended (EX_SOFTWARE in sysexits.h): never pytest's, never green."""


class ExitGuard:
    """Stands before ``os._exit`` in the process that runs tests; forked children meet the real one.

    Without a recording it says what happened and writes nothing.
    """

    def __init__(
        self, say: Callable[[str], None], recording: "Recording | None" = None, position: "Position | None" = None
    ) -> None:
        self._recording = recording
        self._position = position
        self._say = say
        self._pid = os.getpid()
        self._real = os._exit
        self.is_in_place = False

    def install(self) -> None:
        """Put the guard in the function's place."""
        if not self.is_in_place:
            self._real = os._exit
            os._exit = self._exit
            self.is_in_place = True

    def remove(self) -> None:
        """Put the real function back, unless someone has put another one there."""
        if self.is_in_place and os._exit == self._exit:
            os._exit = self._real
        self.is_in_place = False

    def leave(self, code: int = ENDED_BY_GUARD) -> NoReturn:
        """End this process at once, for a guard."""
        self._real(code)

    def _exit(self, status: int) -> NoReturn:
        if os.getpid() != self._pid:  # a forked child ends as it likes
            self._real(status)
        from ci_tools.pytest_plugin.stacks import render_current  # noqa: PLC0415 - hardly any process comes here

        stacks = render_current()
        if self._recording is not None and self._position is not None:
            place = self._position.place
            self._record(self._recording, self._position, int(status), stacks)
        else:
            place = os.environ.get("PYTEST_CURRENT_TEST", "no test")
        self._say(f"ci-tools: os._exit({status}) was called in {place}; this run is not green\n{stacks}")
        self._real(ENDED_BY_GUARD)

    def _record(self, recording: "Recording", position: "Position", status: int, stacks: str) -> None:
        from ci_tools.model.case import Outcome  # noqa: PLC0415 - as above
        from ci_tools.model.journal import ExitRequested  # noqa: PLC0415 - as above

        recording.write(ExitRequested(at=CLOCK.time(), test_id=position.test_id, code=status, stacks=stacks))
        execution = recording.execution
        if execution is not None:
            recording.finish(execution, Outcome.CRASHED, reason=f"os._exit({status}) was called")
