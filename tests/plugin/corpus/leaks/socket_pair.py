"""One half of a pair of sockets is kept and never closed.

kind: connection
outcome: error
says: socket
"""

import socket

KEPT = []


def test_offender() -> None:
    """Passes."""
    left, right = socket.socketpair()  # made here
    right.close()
    KEPT.append(left)


def test_innocent() -> None:
    """An innocent neighbour."""
