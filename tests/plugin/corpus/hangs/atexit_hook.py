"""An atexit hook hangs.

outcome: passed
ends: exit
named:
"""

import atexit
import time


def test_before() -> None:
    """An innocent neighbour."""


def test_offender() -> None:
    """Passes; the process does not end."""
    atexit.register(time.sleep, 3600)


def test_after() -> None:
    """An innocent neighbour."""
