"""A function of a module is replaced by hand.

kind: patch
outcome: error
says: time.time was
"""

import time


def test_offender() -> None:
    """Passes."""
    time.time = lambda: 0.0  # type: ignore[assignment]  # made here
    assert time.time() == 0.0


def test_innocent() -> None:
    """An innocent neighbour."""
    assert time.time() > 0
