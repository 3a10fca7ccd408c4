"""A timer that fires long after its test.

kind: thread
outcome: error
"""

import threading


def test_offender() -> None:
    """Passes."""
    timer = threading.Timer(3600, print)
    timer.daemon = True
    timer.start()  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
