"""A thread that is no daemon is left running: the interpreter waits for it for ever at its exit.

outcome: error
ends: exit
named: forgotten
"""

import threading
import time


def test_before() -> None:
    """An innocent neighbour."""


def test_offender() -> None:
    """Passes; the process does not end."""
    threading.Thread(target=time.sleep, args=(3600,), name="forgotten").start()


def test_after() -> None:
    """An innocent neighbour."""
