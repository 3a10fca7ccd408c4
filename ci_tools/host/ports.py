"""Ports: reserved until a server has bound them (Linux), or found free a moment ago (elsewhere).

On Linux a reservation is two things that the kernel gives back when we die: a name among the abstract unix sockets,
which keeps other starts of ours away, and the bound port itself, with SO_REUSEADDR so that a server that sets it as
well may listen there while every other program is refused. A port is never connected to in order to learn about it.
"""

import contextlib
import errno
import socket
import sys
from collections.abc import Iterable, Iterator
from typing import Self

LOOPBACK = "127.0.0.1"
ANY_PORT = 0

_ATTEMPTS_AT_ANY_PORT = 32


class Reservation:
    """A port that is held for one server. Release it once the server has bound it."""

    def __init__(self, port: int, sockets: tuple[socket.socket, ...]) -> None:
        self.port = port
        self._sockets = sockets

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Give the port up; twice is the same as once."""
        for one in self._sockets:
            one.close()
        self._sockets = ()


def reserve(port: int) -> Reservation | None:
    """The port on 127.0.0.1, or None when somebody has it. ``ANY_PORT`` asks the system for a free one."""
    if sys.platform == "linux":
        return _hold(port)
    return _look(port)


def reservations(preferred: int | None, port_range: tuple[int, ...] = ()) -> Iterator[Reservation]:
    """Reservations to try in order: the preferred port, then those of the range (both ends in it) or any free ones.

    A server that finds its port taken all the same asks for the next. Ends when nothing is left to try.
    """
    others: Iterable[int] = [ANY_PORT] * _ATTEMPTS_AT_ANY_PORT
    if port_range:
        first, last = port_range
        others = [port for port in range(first, last + 1) if port != preferred]
    for port in [*([] if preferred is None else [preferred]), *others]:
        reservation = reserve(port)
        if reservation is not None:
            yield reservation


def _hold(port: int) -> Reservation | None:
    with contextlib.ExitStack() as undo:
        held = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        if not _bind(held, port) and not _bind_where_old_connections_linger(held, port):
            return None
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        number = held.getsockname()[1]
        name = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            name.bind(f"\0ci-tools-port-{number}")
        except OSError:
            return None
        undo.pop_all()
        return Reservation(number, (held, name))


def _bind_where_old_connections_linger(held: socket.socket, port: int) -> bool:
    """Whether only closed connections of an earlier server (TIME_WAIT) stood in the way: a listener still does."""
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bind(held, port)


def _look(port: int) -> Reservation | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform == "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if not _bind(probe, port):
            return None
        return Reservation(probe.getsockname()[1], ())


def _bind(one: socket.socket, port: int) -> bool:
    try:
        one.bind((LOOPBACK, port))
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            return False
        raise
    return True
