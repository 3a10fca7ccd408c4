"""A listening socket is kept and never closed.

kind: connection
outcome: error
says: listening socket on 127.0.0.1:
"""

import socket

KEPT = []


def test_offender() -> None:
    """Passes."""
    listener = socket.socket()  # made here
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    KEPT.append(listener)


def test_innocent() -> None:
    """An innocent neighbour."""
