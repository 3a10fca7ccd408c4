"""The interpreter's recursion limit is raised.

kind: environment
outcome: error
says: recursion limit was
"""

import sys


def test_offender() -> None:
    """Passes."""
    sys.setrecursionlimit(4321)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert sys.getrecursionlimit() != 4321
