"""A module's constant is replaced by a fixture that does not put it back.

kind: patch
outcome: error
owner: fixture slow (function)
"""

import socket

import pytest


@pytest.fixture
def slow() -> int:
    """Changes what is not its own."""
    socket.SOMAXCONN = 7  # type: ignore[misc]  # made here
    return socket.SOMAXCONN


def test_offender(slow: int) -> None:
    """Passes."""
    assert slow == 7


def test_innocent() -> None:
    """An innocent neighbour."""
    assert socket.SOMAXCONN != 7
