"""Selectors are closed, or a module's; a fixture hands its own out."""

import select
import selectors
import socket
from collections.abc import Iterator

import pytest

SHARED = selectors.DefaultSelector()


@pytest.fixture
def selector() -> Iterator[selectors.BaseSelector]:
    """Closed in the end."""
    with selectors.DefaultSelector() as selector:
        yield selector


def test_a_fixtures(selector: selectors.BaseSelector) -> None:
    """Waits for a socket."""
    one, other = socket.socketpair()
    with one, other:
        selector.register(one, selectors.EVENT_READ)
        other.send(b"x")
        assert len(selector.select(1)) == 1


def test_a_modules() -> None:
    """Is there for the next."""
    assert SHARED.select(0) == []


def test_dropped() -> None:
    """The interpreter closes what nobody holds."""
    assert select.epoll().fileno() > 0
    with select.epoll() as poll:
        assert isinstance(poll, select.epoll)
