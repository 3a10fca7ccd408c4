"""What a test opened and what can be said about it: a socket, a connection of a known client, a file or a raw descriptor."""

import contextlib
import os
import re
import socket
import stat
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ci_tools.pytest_plugin.reach import kin_of

CONNECTION, FILE, DESCRIPTOR = "connection", "file", "descriptor"

_CLOSE_SOCKET = "close it: a socket is a context manager, an asyncio server and a stream have close() and wait_closed()"
_HINTS = {
    "redis": "await client.aclose() (client.close() without asyncio), or use the client with `async with`",
    "asyncpg": "await connection.close(), or await pool.close(); a pool is an async context manager",
    "psycopg": "close the connection or the pool: both are context managers",
    "httpx": "await client.aclose() (client.close() without asyncio), or use the client with `async with`",
    "aiohttp": "await session.close(), or use the session with `async with`",
    "websockets": "await connection.close(), or use connect() with `async with`",
}
_HINT_OF_KIND = {
    CONNECTION: _CLOSE_SOCKET,
    FILE: "close it, or open it with `with`",
    DESCRIPTOR: "os.close() it, or wrap it with os.fdopen() and close that",
}
_CLIENTS = {**{name: name for name in _HINTS}, "httpcore": "httpx", "valkey": "valkey", "psycopg_c": "psycopg"}
_PYTEST = "pytest"
_PACKAGE = re.compile(r"[\\/](?:site|dist)-packages[\\/](\w+)[\\/]")


@dataclass(slots=True, eq=False)
class Opened:
    """One opened thing. ``ref`` gives the object, where there is one; a raw descriptor is known by its device and inode."""

    kind: str
    descriptor: int
    ref: Callable[[], Any] | None
    client: str = ""
    identity: tuple[int, int] | None = None
    name: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is still the thing that was opened."""
        if self.ref is not None:
            thing = self.ref()
            return thing is not None and not _is_closed(thing)
        return identity_of(self.descriptor) == self.identity

    @property
    def hint(self) -> str:
        """How it is closed."""
        return _HINTS.get(self.client) or _HINT_OF_KIND[self.kind]

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: what it is and where it leads."""
        thing = self.ref() if self.ref is not None else None
        if isinstance(thing, socket.socket):
            self.client = self.client or _CLIENTS.get(kin_of(thing, _CLIENTS), "")
            return f"{_describe_socket(thing, self.client)} is still open"
        if self.kind is CONNECTION:
            return f"connection of {self.client} to {_endpoint_of_client(thing)} is still open"
        if self.kind is FILE:
            return f"file {relative(str(getattr(thing, 'name', self.name)))} (mode {getattr(thing, 'mode', '?')}) is still open"
        return f"descriptor {self.descriptor} ({relative(_target_of(self.descriptor))}) is still open"

    def ends(self) -> tuple[str, str]:
        """This end of a connection and the other one, each as ``host:port`` or a path; empty where there is none."""
        thing = self.ref() if self.ref is not None else None
        if not isinstance(thing, socket.socket):
            return "", ""
        return _address(thing.getsockname), _address(thing.getpeername)

    def close(self) -> str:
        """End it; what could not be done is said."""
        thing = self.ref() if self.ref is not None else None
        try:
            if thing is None:
                os.close(self.descriptor)
            elif hasattr(thing, "pgconn"):
                thing.pgconn.finish()
            else:
                thing.close()
        except Exception as error:  # noqa: BLE001 - any object may raise anything when closed
            return f"it could not be closed: {error}"
        return ""


@dataclass(slots=True, eq=False)
class LoopOpened(Opened):
    """A transport or server of a loop that opens its sockets in C (uvloop): asked itself, for want of a socket."""

    @property
    def is_open(self) -> bool:
        """Whether it has not been closed."""
        thing = self.ref() if self.ref is not None else None
        if thing is None:
            return False
        return bool(thing.is_serving()) if hasattr(thing, "is_serving") else not thing.is_closing()

    def describe(self, relative: Callable[[str], str]) -> str:
        """For people: what it is and where it leads."""
        thing = self.ref() if self.ref is not None else None
        if thing is not None and hasattr(thing, "sockets"):
            return f"listening socket on {', '.join(_address(one.getsockname) for one in thing.sockets)} is still open"
        self.client = self.client or _CLIENTS.get(kin_of(thing, _CLIENTS), "")
        here, there = self.ends()
        what = f"connection of {self.client}" if self.client else "socket"
        return f"{what} {f'to {there}' if there else f'on {here}'} is still open"

    def ends(self) -> tuple[str, str]:
        """This end and the other one."""
        thing = self.ref() if self.ref is not None else None
        if thing is None or not hasattr(thing, "get_extra_info"):
            return "", ""
        return _address(lambda: thing.get_extra_info("sockname") or ""), _address(lambda: thing.get_extra_info("peername") or "")

    def close(self) -> str:
        """End it."""
        thing = self.ref() if self.ref is not None else None
        if thing is not None:
            (thing.abort if hasattr(thing, "abort") else thing.close)()
        return ""


def client_of(frame: FrameType | None) -> str:
    """The known client library that is at work in this stack; empty when there is none."""
    clients = _CLIENT_OF_FILE
    while frame is not None:
        name = clients[frame.f_code.co_filename]
        if name:
            return name if name != _PYTEST else ""
        frame = frame.f_back
    return ""


def identity_of(descriptor: int) -> tuple[int, int] | None:
    """Device and inode; None when nothing is open there."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def reference_to(thing: object) -> Callable[[], Any]:
    """A weak reference: watching something must not keep it open."""
    return weakref.ref(thing)


class _ClientOfFile(dict[str, str]):
    """The known client library, or pytest, that a file belongs to; found out when it is first asked for."""

    def __missing__(self, filename: str) -> str:
        found = _PACKAGE.search(filename)
        package = found.group(1) if found is not None else ""
        self[filename] = name = _PYTEST if package in ("_pytest", "pluggy") else _CLIENTS.get(package, "")
        return name


_CLIENT_OF_FILE = _ClientOfFile()


def _is_closed(thing: Any) -> bool:  # noqa: ANN401 - a socket, a file or a client's connection
    if isinstance(thing, socket.socket):
        return thing.fileno() < 0
    return bool(thing.closed) or not _owns_descriptor(thing)


def _owns_descriptor(thing: Any) -> bool:  # noqa: ANN401 - as above
    """Whether closing it closes anything: of `open(…, closefd=False)` somebody else owns what it writes to."""
    with contextlib.suppress(AttributeError, ValueError):  # what is no file of Python's, or has been taken apart
        buffered = getattr(thing, "buffer", thing)
        return bool(getattr(buffered, "raw", buffered).closefd)
    return True


def _describe_socket(thing: socket.socket, client: str) -> str:
    here = _address(thing.getsockname)
    there = _address(thing.getpeername)
    if client and there:
        return f"connection of {client} to {there}"
    if there:
        return f"socket to {there}"
    with contextlib.suppress(OSError):
        if thing.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return f"listening socket on {here}"
    kind = thing.type.name if isinstance(thing.type, socket.SocketKind) else str(thing.type)
    # The other side of a connection may have gone: then the system no longer says who it was.
    return f"{kind} socket on {here}" if here else f"unnamed {kind} socket"


def _address(ask: Callable[[], object]) -> str:
    try:
        address = ask()
    except OSError:
        return ""
    if isinstance(address, tuple) and len(address) >= 2:  # noqa: PLR2004 - host and port
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return os.fsdecode(address) if isinstance(address, (str, bytes)) else str(address)


def _endpoint_of_client(thing: Any) -> str:  # noqa: ANN401 - psycopg's connection, sync or async
    try:
        return f"{thing.info.host}:{thing.info.port}/{thing.info.dbname}"
    except Exception:  # noqa: BLE001 - a broken connection says nothing about itself
        return "an unknown place"


def _target_of(descriptor: int) -> str:
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    with contextlib.suppress(OSError):
        mode = os.fstat(descriptor).st_mode
        kinds = ((stat.S_ISFIFO, "pipe"), (stat.S_ISSOCK, "socket"), (stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"))
        return next((name for is_kind, name in kinds if is_kind(mode)), "device")
    return "unknown"
