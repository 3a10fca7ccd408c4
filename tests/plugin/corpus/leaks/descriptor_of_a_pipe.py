"""The reading end of a pipe is never closed.

kind: descriptor
outcome: error
says: pipe
"""

import os


def test_offender() -> None:
    """Passes."""
    _, write = os.pipe()  # made here
    os.close(write)


def test_innocent() -> None:
    """An innocent neighbour."""
