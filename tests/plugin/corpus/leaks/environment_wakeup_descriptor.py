"""Signals write into a descriptor of the test's after it is over.

kind: environment
outcome: error
says: descriptor that signals wake up
"""

import os
import signal


def test_offender() -> None:
    """The descriptor is closed, and may be anybody's next."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)  # made here
    os.close(reader)
    os.close(writer)


def test_innocent() -> None:
    """Nothing is wrong here."""
    assert signal.set_wakeup_fd(-1) == -1
