"""An epoll object is never closed.

kind: descriptor
outcome: error
says: epoll
"""

import select

KEPT = []


def test_offender() -> None:
    """Passes."""
    KEPT.append(select.epoll())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
