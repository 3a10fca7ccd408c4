"""All sockets get a timeout from now on.

kind: environment
outcome: error
"""

import socket


def test_offender() -> None:
    """Passes."""
    socket.setdefaulttimeout(12.5)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert socket.getdefaulttimeout() is None
