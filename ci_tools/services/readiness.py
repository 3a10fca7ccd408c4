"""Readiness: a service is ready when it answers its own protocol, and not ready in words that help."""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ci_tools.host.process import GuardedProcess

LOG_TAIL_LINES = 40

_PAUSE_S = 0.001
_LATER_PAUSE_S = 0.005
_SOON_S = 0.25
"""Most servers are ready in less: each millisecond is asked for. Later a pause spares the server's processor."""

_MEANINGS = {
    errno.ECONNREFUSED: "connection refused: nothing listens there",
    errno.ETIMEDOUT: "timed out: packets are dropped on the way",
    errno.EHOSTUNREACH: "no route to that host",
    errno.ENETUNREACH: "no route to that network",
    errno.ECONNRESET: "connection reset: whoever listens there hung up",
    errno.EACCES: "permission denied",
    errno.EADDRINUSE: "address in use: another program has it",
    errno.ENOENT: "no such file or folder",
    10061: "connection refused: nothing listens there",
    1225: "connection refused: nothing listens there",
    10060: "timed out: packets are dropped on the way",
    10054: "connection reset: whoever listens there hung up",
    10048: "address in use: another program has it",
    10013: "permission denied",
}
"""What an errno says to a person; the large ones are Windows' (WSAECONNREFUSED and its kin, 1225 from asyncio)."""

T = TypeVar("T")


class EndedEarlyError(Exception):
    """The server's process ended before it was ready."""

    def __init__(self, returncode: int) -> None:
        super().__init__(returncode)
        self.returncode = returncode


class NotReadyError(Exception):
    """The server did not answer in time; the cause is the last answer."""


def wait_ready(process: GuardedProcess, probe: Callable[[], T], *, timeout_s: float, stopping: threading.Event) -> T:
    """The first answer of ``probe``, which raises OSError as long as there is none.

    Raises EndedEarlyError at once when the process is gone, NotReadyError after ``timeout_s`` or once ``stopping`` is set.
    """
    began = time.monotonic()
    deadline = began + timeout_s
    while True:
        try:
            return probe()
        except OSError as error:
            returncode = process.poll()
            if returncode is not None:
                raise EndedEarlyError(returncode) from error
            if time.monotonic() >= deadline or stopping.is_set():
                raise NotReadyError from error
        time.sleep(_PAUSE_S if time.monotonic() - began < _SOON_S else _LATER_PAUSE_S)


def explain(error: BaseException | None) -> str:
    """An exception as a person reads it: the platform's own number and what it means."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return "no answer: it accepts connections and says nothing"
    is_tls = type(error).__module__ == "ssl"  # whose numbers are its own, and which no start of ours needs
    if isinstance(error, OSError) and error.errno is not None and not is_tls:
        meaning = _MEANINGS.get(error.errno, os.strerror(error.errno))
        return f"errno {error.errno} on {sys.platform}: {meaning}"
    return str(error) or type(error).__name__


def log_tail(log: Path, *, start: int = 0) -> tuple[str, ...]:
    """The last lines of a server's log; ``start`` is the byte from which on they are this start's."""
    try:
        lines = log.read_bytes()[start:].decode("utf-8", "replace").splitlines()
    except OSError as error:
        return (f"no log: {explain(error)}",)
    return tuple(line for line in lines if line.strip())[-LOG_TAIL_LINES:]
