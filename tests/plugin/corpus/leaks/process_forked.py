"""A child forked by hand is left running.

kind: process
outcome: error
says: os.fork
"""

import os
import signal


def test_offender() -> None:
    """Passes."""
    if os.fork() == 0:  # made here
        signal.pause()
        os._exit(0)


def test_innocent() -> None:
    """An innocent neighbour."""
