"""Outgoing connections: what this process opens by means that no counter of requests or frames knows.

A request by hand over a socket, by httpcore, tornado or a client of WebSocket that is not among those whose calls are counted,
is no request that anybody counts, but a connection is evidence that somebody was asked. Connections of clients that are counted
elsewhere are left out here, as are those to the services that their servers measure: what spoke to Redis has not spoken HTTP.
"""

import errno
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from types import FrameType
from typing import Any

_COUNTED_ELSEWHERE = frozenset(
    {"http.client", "httpx", "httpx2", "aiohttp", "websockets", "starlette"}
    | {"redis", "valkey", "coredis", "glide", "asyncpg", "psycopg", "psycopg2", "pg8000", "aiopg"}
    | {
        "pymysql",
        "aiomysql",
        "asyncmy",
        "pymongo",
        "cassandra",
        "aiokafka",
        "kafka",
        "kombu",
        "amqp",
        "pika",
        "aio_pika",
        "aiormq",
    }
    | {"nats", "smtplib", "aiosmtplib", "ftplib", "poplib", "imaplib", "paramiko", "asyncssh", "ldap3", "aiohappyeyeballs"}
)
"""Clients whose requests are counted by their calls, and clients of other protocols."""
_UNSEEN = frozenset({"pycurl", "curl_cffi", "primp", "rnet", "pyreqwest"})
"""Clients in C or Rust: nothing in Python sees what they open."""
_BEGUN = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)})
_OUR_SERVICES = "ci_tools.services."
_UVLOOP = "uvloop"
_LOOPS = {
    "asyncio.selector_events": "BaseSelectorEventLoop",
    "asyncio.proactor_events": "BaseProactorEventLoop",
    _UVLOOP: "Loop",
}
_MOST_FRAMES = 60
_IS_COUNTED: ContextVar[bool] = ContextVar("ci_tools_is_counted", default=False)


class Outgoing:
    """Counts from the first ``look`` on; every counter belongs to the whole process."""

    def __init__(self, is_measured: Callable[[object], bool]) -> None:
        self.opened = 0
        """Connections that were opened, by whoever is not counted elsewhere."""
        self._is_measured = is_measured
        self.begun = 0
        """Connections that were begun, and somebody else hears whether they came about."""
        self._links: weakref.WeakSet[Any] = weakref.WeakSet()
        self._awaited: set[int] = set()
        """Sockets whose loop hears whether they were connected, and tells us."""
        self._places: list[tuple[Any, str, Any]] = []

    def look(self) -> None:
        """Stand before everything that connects, also before what a test or a library has put there since."""
        self._stand_before(socket.socket, "connect", self._connect)
        self._stand_before(socket.socket, "connect_ex", self._connect_ex)
        for loop_kind in _loop_kinds():
            self._stand_before(loop_kind, "sock_connect", self._sock_connect)
            if loop_kind.__module__.partition(".")[0] == _UVLOOP:  # it asks nobody's sock_connect
                self._stand_before(loop_kind, "create_connection", self._create_connection)
                self._stand_before(loop_kind, "create_unix_connection", self._create_connection)

    def is_blind(self) -> bool:
        """Whether somebody may be asked without a new connection, or without any that can be seen here."""
        known = set()
        for kind, name, ours in self._places:  # no generator: asked for each phase
            if vars(kind).get(name) is not ours:
                return True
            known.add(kind)
        is_late = not known.issuperset(_loop_kinds())
        return is_late or not _UNSEEN.isdisjoint(sys.modules) or any(map(_is_open, list(self._links)))

    def remove(self) -> None:
        """Put back what stood there before."""
        for kind, name, ours in reversed(self._places):
            if vars(kind).get(name) is ours:
                delattr(kind, name)
                if getattr(kind, name) is not ours.__wrapped__:  # it was the class's own, and not inherited
                    setattr(kind, name, ours.__wrapped__)
        self._places.clear()

    def _stand_before(self, kind: Any, name: str, wrap: Callable[[Any], Any]) -> None:  # noqa: ANN401 - a class of sockets or loops
        for known in self._places:
            if known[0] is kind and known[1] == name:
                if vars(kind).get(name) is known[2]:
                    return
                self._places.remove(known)
                break
        original = getattr(kind, name)
        ours = wraps(original)(wrap(original))
        setattr(kind, name, ours)
        self._places.append((kind, name, ours))

    def _note(self, link: object) -> None:
        self.opened += 1
        self._links.add(link)

    def _is_of_interest(self, address: object) -> bool:
        return not _IS_COUNTED.get() and not self._is_measured(address) and not _is_counted_elsewhere()

    def _connect(self, original: Any) -> Any:  # noqa: ANN401 - a method of sockets
        def connect(link: socket.socket, address: Any) -> None:  # noqa: ANN401 - the original's own signature
            try:
                original(link, address)
            except BlockingIOError:
                self._note_begun(link, address)
                raise
            if link.type is socket.SOCK_STREAM and id(link) not in self._awaited and self._is_of_interest(address):
                self._note(link)

        return connect

    def _connect_ex(self, original: Any) -> Any:  # noqa: ANN401 - as above
        def connect_ex(link: socket.socket, address: Any) -> int:  # noqa: ANN401 - as above
            code: int = original(link, address)
            if not code and link.type is socket.SOCK_STREAM and self._is_of_interest(address):
                self._note(link)
            elif code in _BEGUN:
                self._note_begun(link, address)
            return code

        return connect_ex

    def _note_begun(self, link: socket.socket, address: object) -> None:
        if id(link) not in self._awaited and link.type is socket.SOCK_STREAM and self._is_of_interest(address):
            self.begun += 1
            self._links.add(link)

    def _sock_connect(self, original: Any) -> Any:  # noqa: ANN401 - a method of loops
        async def sock_connect(loop: object, sock: Any, address: Any) -> Any:  # noqa: ANN401 - as above
            is_of_interest = sock.type is socket.SOCK_STREAM and self._is_of_interest(address)
            self._awaited.add(id(sock))
            try:
                result = await original(loop, sock, address)
            finally:
                self._awaited.discard(id(sock))
            if is_of_interest:
                self._note(sock)
            return result

        return sock_connect

    def _create_connection(self, original: Any) -> Any:  # noqa: ANN401 - as above
        async def create_connection(loop: object, factory: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as above
            address = arguments[:2] if len(arguments) > 1 else (options.get("host"), options.get("port"))
            is_of_interest = options.get("sock") is None and self._is_of_interest(address)
            transport, protocol = await original(loop, factory, *arguments, **options)
            if is_of_interest:
                self._note(transport)
            return transport, protocol

        return create_connection


def _loop_kinds() -> list[Any]:
    """Whose loops connect, of what somebody has loaded."""
    return [getattr(sys.modules[name], kind) for name, kind in _LOOPS.items() if name in sys.modules]


def _is_open(link: Any) -> bool:  # noqa: ANN401 - a socket, or uvloop's transport
    return link.fileno() >= 0 if isinstance(link, socket.socket) else not link.is_closing()


@contextmanager
def counted() -> Iterator[None]:
    """What is opened inside, also by tasks that are made for it, belongs to a request that is counted."""
    token = _IS_COUNTED.set(True)
    try:
        yield
    finally:
        _IS_COUNTED.reset(token)


def _is_counted_elsewhere() -> bool:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, and the only way to a frame
    is_known = _KNOWN_MODULES
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return False
        name = frame.f_globals.get("__name__")
        if type(name) is str and is_known[name]:
            return True
        frame = frame.f_back
    return False


class _KnownModules(dict[str, bool]):
    """Whether a module is a counted client's, or one of ours that asks a service; found out when it is first asked for."""

    def __missing__(self, name: str) -> bool:
        is_client = name in _COUNTED_ELSEWHERE or name.partition(".")[0] in _COUNTED_ELSEWHERE
        self[name] = is_known = is_client or name.startswith(_OUR_SERVICES)
        return is_known


_KNOWN_MODULES = _KnownModules()
