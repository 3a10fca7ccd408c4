"""A descriptor is copied to a free number, and the copy stays.

kind: descriptor
outcome: error
"""

import os


def test_offender() -> None:
    """Passes."""
    os.dup2(0, 250)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
