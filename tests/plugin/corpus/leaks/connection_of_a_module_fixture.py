"""A module's fixture opens a socket that its tear-down does not close: the fixture is blamed.

kind: connection
outcome: error
owner: fixture line (module)
"""

import socket

import pytest

KEPT = []


@pytest.fixture(scope="module")
def line() -> socket.socket:
    """Opens what it does not close."""
    opened = socket.socket()  # made here
    KEPT.append(opened)
    return opened


def test_user(line: socket.socket) -> None:
    """Uses the fixture."""


def test_offender(line: socket.socket) -> None:
    """Is the last to use the fixture."""
    assert line.fileno() > 0
