"""A thread below the threading module runs on.

kind: thread
outcome: error
says: still running
"""

import _thread
import threading

EVENT = threading.Event()


def wait() -> None:
    """Waits for what never comes."""
    EVENT.wait()


def test_offender() -> None:
    """Passes."""
    _thread.start_new_thread(wait, ())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
