"""A timer over the time of the processor is left running: its signal would end the process in another test.

kind: environment
outcome: error
says: ITIMER_PROF
"""

import signal


def test_offender() -> None:
    """Starts it and forgets it."""
    signal.setitimer(signal.ITIMER_PROF, 600)  # made here


def test_innocent() -> None:
    """It does not run."""
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
