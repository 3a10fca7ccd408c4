"""socket in the fixtures tear down.

kind: connection
outcome: error
"""

import socket

import pytest

KEPT = []


@pytest.fixture
def thing():
    yield 1
    KEPT.append(socket.socket())  # made here


def test_offender(thing):
    pass


def test_innocent():
    """An innocent neighbour."""
