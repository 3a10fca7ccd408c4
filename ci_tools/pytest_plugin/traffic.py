"""Traffic: HTTP requests and WebSocket frames of the clients in this process, and connections of clients that nobody knows.

Public methods of client libraries are noted as they are called, in libraries that somebody has imported: nothing is
imported for it. A library that comes in while a test runs is noted from the next phase on; what the test did with it is unknown.
"""

import sys
from collections.abc import Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Any, NamedTuple

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.outgoing import Outgoing, counted

REQUESTS, FRAMES = "http", "websocket"
"""The units' services, as a mark names them."""

_LIBRARIES = {
    REQUESTS: ("http.client", "httpx", "httpx2", "aiohttp", "werkzeug.test", "django.test.client", "webtest.app"),
    FRAMES: ("websockets.protocol", "aiohttp", "starlette.testclient"),
}


class Traffic:
    """Counts since the first call of ``look``; every counter belongs to the whole process."""

    def __init__(self, is_measured: Callable[[object], bool]) -> None:
        self.counts = {REQUESTS: 0, FRAMES: 0}
        self.outgoing = Outgoing(is_measured)
        self._known: dict[str, ModuleType] = {}
        self._undo: list[Callable[[], None]] = []

    def look(self) -> None:
        """Note the libraries that have been imported since."""
        self.outgoing.look()
        for name, note in _NOTES.items():
            module = sys.modules.get(name)
            if module is not None and self._known.get(name) is not module:
                self._known[name] = module
                note(self, module)

    def is_blind(self, service: str) -> bool:
        """Whether a library that could have spoken has come in since the last ``look``."""
        return any(name in sys.modules and name not in self._known for name in _LIBRARIES[service])

    def remove(self) -> None:
        """Put the libraries' own methods back."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()
        self._known.clear()
        self.outgoing.remove()

    def replace(self, kind: type, method: str, wrapper: Callable[[Any], Any]) -> None:
        """Put a wrapped method in its place, for as long as nobody puts another one there."""
        original = kind.__dict__.get(method)
        if original is None:  # another version of the library
            return
        ours = wraps(original)(wrapper(original))
        setattr(kind, method, ours)

        def undo() -> None:
            if kind.__dict__.get(method) is ours:
                setattr(kind, method, original)

        self._undo.append(undo)

    def count_calls(self, service: str) -> Callable[[Any], Any]:
        """A wrapper that counts a call; a coroutine function stays one, for whoever asks."""

        def wrap(original: Any) -> Any:  # noqa: ANN401 - any library's method
            def counted_call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
                self.counts[service] += 1
                with counted():
                    return original(*args, **kwargs)

            async def counted_when_awaited(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
                self.counts[service] += 1
                with counted():
                    return await original(*args, **kwargs)

            return counted_when_awaited if iscoroutinefunction(original) else counted_call

        return wrap


class TrafficMeter:
    """The meter of a declared ``http`` or ``websocket``: what clients that are known send, and what others connect to."""

    def __init__(self, service: str, unit: str, traffic: Traffic, started: Callable[[], int]) -> None:
        self._service = service
        self._unit = unit
        self._traffic = traffic
        self._started = started
        """How many children there have been: each may ask as well as this process does."""
        self._before = _Reading()
        self._latest = _Reading()

    def begin(self) -> bool:
        """What comes now is counted."""
        self._latest = self._read()
        return True

    def measure(self) -> Mapping[str, int]:
        """Requests or frames, and connections, since the last ``begin`` or ``measure``."""
        self._before, self._latest = self._latest, self._read()
        before, after = self._before, self._latest
        return {self._unit: after.asked - before.asked, "connections": after.connections - before.connections}

    def is_blind(self, phase: Phase) -> bool:
        """Whether somebody may have been asked in the phase that was measured last, and nothing has shown it.

        A child that the test itself starts may ask as well; one that a fixture starts is the server more often than not.
        """
        before, after = self._before, self._latest
        has_child = phase is Phase.CALL and after.children > before.children
        is_unclear = has_child or after.begun > before.begun
        return is_unclear or self._traffic.is_blind(self._service) or self._traffic.outgoing.is_blind()

    def close(self) -> None:
        """Nothing is kept open."""

    def _read(self) -> "_Reading":
        outgoing = self._traffic.outgoing
        return _Reading(self._traffic.counts[self._service], outgoing.opened, outgoing.begun, self._started())


class _Reading(NamedTuple):
    asked: int = 0
    connections: int = 0
    begun: int = 0
    children: int = 0


def _note_http_client(traffic: Traffic, module: ModuleType) -> None:
    """What urllib, urllib3 and requests use."""
    traffic.replace(module.HTTPConnection, "getresponse", traffic.count_calls(REQUESTS))


def _note_httpx(traffic: Traffic, module: ModuleType) -> None:
    traffic.replace(module.Client, "send", traffic.count_calls(REQUESTS))
    traffic.replace(module.AsyncClient, "send", traffic.count_calls(REQUESTS))


def _note_aiohttp(traffic: Traffic, module: ModuleType) -> None:
    traffic.replace(module.ClientResponse, "start", traffic.count_calls(REQUESTS))
    for method in ("receive", "send_str", "send_bytes"):
        traffic.replace(module.ClientWebSocketResponse, method, traffic.count_calls(FRAMES))


def _note_websockets(traffic: Traffic, module: ModuleType) -> None:
    """The protocol without I/O, which its clients for threads and for asyncio share."""

    def wrap_events(original: Any) -> Any:  # noqa: ANN401 - the library's method
        def events_received(self: Any) -> list[Any]:  # noqa: ANN401 - as above
            events: list[Any] = original(self)
            if self.side is module.CLIENT:
                traffic.counts[FRAMES] += len(events)  # the server's answer to the opening handshake is one, also a refusal
            return events

        return events_received

    def wrap_send(original: Any) -> Any:  # noqa: ANN401 - as above
        def send(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
            if self.side is module.CLIENT:
                traffic.counts[FRAMES] += 1
            return original(self, *args, **kwargs)

        return send

    traffic.replace(module.Protocol, "events_received", wrap_events)
    for method in ("send_text", "send_binary", "send_continuation"):
        traffic.replace(module.Protocol, method, wrap_send)


def _note_werkzeug(traffic: Traffic, module: ModuleType) -> None:
    """Flask's test client, too."""
    traffic.replace(module.Client, "open", traffic.count_calls(REQUESTS))


def _note_django(traffic: Traffic, module: ModuleType) -> None:
    for kind in ("Client", "AsyncClient"):
        if hasattr(module, kind):
            traffic.replace(getattr(module, kind), "request", traffic.count_calls(REQUESTS))


def _note_webtest(traffic: Traffic, module: ModuleType) -> None:
    traffic.replace(module.TestApp, "do_request", traffic.count_calls(REQUESTS))


def _note_starlette(traffic: Traffic, module: ModuleType) -> None:
    for method in ("send", "receive"):
        traffic.replace(module.WebSocketTestSession, method, traffic.count_calls(FRAMES))


_NOTES: dict[str, Callable[[Traffic, ModuleType], None]] = {
    "http.client": _note_http_client,
    "httpx": _note_httpx,
    "httpx2": _note_httpx,
    "aiohttp": _note_aiohttp,
    "werkzeug.test": _note_werkzeug,
    "django.test.client": _note_django,
    "webtest.app": _note_webtest,
    "websockets.protocol": _note_websockets,
    "starlette.testclient": _note_starlette,
}
