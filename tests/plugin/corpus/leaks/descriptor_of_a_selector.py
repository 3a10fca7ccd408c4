"""A selector is never closed.

kind: descriptor
outcome: error
says: EpollSelector
"""

import selectors

KEPT = []


def test_offender() -> None:
    """Passes."""
    KEPT.append(selectors.DefaultSelector())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
