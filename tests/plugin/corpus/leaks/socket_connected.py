"""A connected socket is kept and never closed; its server behaves.

kind: connection
outcome: error
says: socket to 127.0.0.1:
"""

import socket

KEPT = []


def test_offender() -> None:
    """Passes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        KEPT.append(socket.create_connection(listener.getsockname()))  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
