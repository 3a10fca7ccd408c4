"""Turns the first signal that asks this process to end into an exception in its main thread."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """The run was asked to end. A BaseException: no ``except Exception`` on the way may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def name(self) -> str:
        """``SIGINT``, ``SIGTERM``, …"""
        return signal.Signals(self.number).name


_ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


@contextmanager
def interruptible() -> Iterator[None]:
    """While active, the first SIGINT, SIGTERM or SIGHUP raises ``Interrupted``; later ones are ignored.

    Later ones must not cut the stopping short: it has its own deadlines, and a terminal, nox and a CI runner
    each send a signal of their own for one Ctrl-C.
    """
    is_raised = False

    def raise_once(number: int, frame: FrameType | None) -> None:
        nonlocal is_raised
        del frame
        if not is_raised:
            is_raised = True
            raise Interrupted(number)

    before = {number: signal.signal(number, raise_once) for number in _ASKING}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
