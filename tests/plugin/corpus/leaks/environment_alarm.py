"""An alarm is set, and rings in somebody else's test.

kind: environment
outcome: error
says: alarm
"""

import signal


def test_offender() -> None:
    """Passes."""
    signal.alarm(1000)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert signal.alarm(0) == 0
