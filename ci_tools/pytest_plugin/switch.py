"""The dead man's switch: faulthandler's C timer, which needs no thread of Python to write the stacks and end the process.

There is one such timer in a process. The code under test may use it as well: what it sets comes first where it would fire first,
and what it takes away is its own, never the switch.
"""

import contextlib
import faulthandler
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ci_tools.pytest_plugin.clock import CLOCK

_SOONEST_S = 0.1
_ARM: Callable[..., None] = faulthandler.dump_traceback_later
_CANCEL = faulthandler.cancel_dump_traceback_later


class Switch:
    """Fires at a time by the monotonic clock unless armed anew or cancelled; never where there is no file for the stacks."""

    def __init__(self, stacks_path: Path | None) -> None:
        self.fires_at = 0.0
        """When it fires; 0 where it is not armed."""
        self._stacks_path = stacks_path
        self._stacks: TextIO | None = None
        self._is_set = False
        """Whether the timer is the switch's, and not the code's own or nobody's."""
        self._theirs_at = 0.0
        """When the timer fires that the code under test has set; 0 where it has set none."""
        self._set_theirs: Callable[[float], None] = _ARM
        """Set it again, for so many seconds."""
        self._lock = threading.Lock()

    def open(self) -> None:
        """Open the file, and stand before faulthandler's own functions."""
        if self._stacks_path is None:
            return
        with contextlib.suppress(OSError):
            self._stacks = self._stacks_path.open("w", encoding="utf-8")
        faulthandler.dump_traceback_later = self._arm_theirs
        faulthandler.cancel_dump_traceback_later = self._cancel_theirs

    def close(self) -> None:
        """Take it away, and put everything back; a file to which nothing was written goes."""
        self.cancel()
        for name, ours, original in (
            ("dump_traceback_later", self._arm_theirs, _ARM),
            ("cancel_dump_traceback_later", self._cancel_theirs, _CANCEL),
        ):
            if getattr(faulthandler, name) == ours:
                setattr(faulthandler, name, original)
        with self._lock:
            if self._stacks is not None:
                self._stacks.close()
                self._stacks = None
        self.tidy()

    def tidy(self) -> None:
        """Remove the file of stacks if nothing was written to it."""
        if self._stacks_path is not None:
            with contextlib.suppress(OSError):
                if self._stacks_path.stat().st_size == 0:
                    self._stacks_path.unlink()

    def reclaim(self) -> None:
        """What another test has set there counts no more."""
        if self._theirs_at:
            with self._lock:
                self._theirs_at = 0.0
                self._arm()

    def arm(self, fires_at: float) -> None:
        """Fire at this time, instead of any other."""
        if self._stacks is not None:
            with self._lock:
                self.fires_at = fires_at
                self._arm()

    def cancel(self) -> None:
        """Do not fire at all."""
        if self.fires_at:
            with self._lock:
                self.fires_at = 0.0
                if self._is_set:
                    self._is_set = False
                    _CANCEL()
                    if self._is_theirs():
                        self._set_theirs(max(_SOONEST_S, self._theirs_at - CLOCK.monotonic()))

    def _arm(self) -> None:
        if self.fires_at and not self._is_theirs():
            _ARM(max(_SOONEST_S, self.fires_at - CLOCK.monotonic()), exit=True, file=self._stacks)
            self._is_set = True

    def _is_theirs(self) -> bool:
        """Whether the timer is the code's own: until it has fired, and where it would fire before the switch."""
        if self._theirs_at and self._theirs_at <= CLOCK.monotonic():
            self._theirs_at = 0.0
        return bool(self._theirs_at) and (not self.fires_at or self._theirs_at <= self.fires_at)

    # In the place of faulthandler's own

    def _arm_theirs(self, timeout: float, repeat: bool = False, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - the original's own signature
        with self._lock:
            _ARM(timeout, repeat, *arguments, **options)
            self._is_set = False
            self._set_theirs = lambda left_s: _ARM(left_s, repeat, *arguments, **options)
            self._theirs_at = CLOCK.monotonic() + timeout
            if repeat and self._theirs_at <= self.fires_at:
                self._theirs_at = math.nextafter(self.fires_at, 0.0)
            if not self._is_theirs():
                self._arm()

    def _cancel_theirs(self) -> None:
        with self._lock:
            self._theirs_at = 0.0
            self._is_set = False
            _CANCEL()
            self._arm()
