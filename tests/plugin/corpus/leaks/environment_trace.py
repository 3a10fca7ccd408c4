"""A profiler is switched on and never off.

kind: environment
outcome: error
"""

import sys


def test_offender() -> None:
    """Passes."""
    sys.setprofile(lambda *_: None)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert sys.getprofile() is None
