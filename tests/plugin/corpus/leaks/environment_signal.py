"""A signal handler is set and stays.

kind: environment
outcome: error
says: SIGUSR1
"""

import signal


def test_offender() -> None:
    """Passes."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # made here


def test_innocent() -> None:
    """Finds the handler as it was."""
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
