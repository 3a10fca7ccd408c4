"""Both ends of a terminal stay open.

kind: descriptor
outcome: error
count: 2
"""

import pty


def test_offender() -> None:
    """Passes."""
    pty.openpty()  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
