"""Turns the first signal that asks this process to end into an exception in its main thread."""

import signal
import threading
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
        """The signal's name, like ``SIGINT``."""
        return signal.Signals(self.number).name


_ASKING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class Interruption:
    """Whether this process was asked to end: by raising ``Interrupted`` once, or by answering when asked."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._is_deferred = False
        self._event = threading.Event()

    def is_asked(self) -> bool:
        """Whether a signal has come."""
        return self._number is not None

    @property
    def name(self) -> str:
        """The signal's name; empty when none has come."""
        return signal.Signals(self._number).name if self._number is not None else ""

    def wait(self, timeout_s: float) -> bool:
        """Whether a signal comes within this time; it also raises, as any signal here."""
        return self._event.wait(timeout_s)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """While active a signal is only noted; on the way out it is raised. For code that asks ``is_asked`` itself."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False
        if self._number is not None:
            raise Interrupted(self._number)

    def note(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: the first signal raises, later ones are ignored.

        Later ones must not cut the stopping short, which has its own deadlines: a terminal, nox and a CI runner each
        send a signal of their own for one Ctrl-C.
        """
        del frame
        if self._number is None:
            self._number = number
            self._event.set()
            if not self._is_deferred:
                raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """While active, the first SIGINT, SIGTERM, SIGHUP (Windows: SIGBREAK) raises ``Interrupted`` in the main thread."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption.note) for number in _ASKING}
    try:
        yield interruption
    finally:
        for number, action in before.items():
            signal.signal(number, action)
