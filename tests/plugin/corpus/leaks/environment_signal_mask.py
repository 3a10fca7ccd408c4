"""A signal is blocked and stays blocked.

kind: environment
outcome: error
"""

import signal


def test_offender() -> None:
    """Passes."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
