"""A folder is put on sys.path and stays.

kind: environment
outcome: error
says: /nowhere/at/all
"""

import sys


def test_offender() -> None:
    """Passes."""
    sys.path.insert(0, "/nowhere/at/all")  # made here


def test_innocent() -> None:
    """Finds the path as it was."""
    assert "/nowhere/at/all" not in sys.path
