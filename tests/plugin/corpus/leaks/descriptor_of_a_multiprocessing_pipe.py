"""Both ends of a pipe of multiprocessing are never closed.

kind: descriptor
outcome: error
count: 2
says: multiprocessing
"""

import multiprocessing

KEPT = []


def test_offender() -> None:
    """Passes."""
    KEPT.append(multiprocessing.Pipe())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
