"""A finder stays in the way of every import.

kind: environment
outcome: error
says: sys.meta_path
"""

import sys


class Finder:
    """Finds nothing."""

    def find_spec(self, *_: object) -> None:
        """Not here."""


def test_offender() -> None:
    """Passes."""
    sys.meta_path.insert(0, Finder())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not isinstance(sys.meta_path[0], Finder)
