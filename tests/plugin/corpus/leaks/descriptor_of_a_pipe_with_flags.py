"""A pipe made with flags is never closed.

kind: descriptor
outcome: error
says: pipe
count: 2
"""

import os


def test_offender() -> None:
    """Passes."""
    os.pipe2(os.O_NONBLOCK)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
