"""A socket gives its descriptor away, and nobody closes that.

kind: descriptor
outcome: error
says: socket
"""

import socket


def test_offender() -> None:
    """Passes."""
    with socket.socket() as one:
        one.detach()  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
