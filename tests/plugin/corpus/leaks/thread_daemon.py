"""A daemon thread is started and forgotten.

kind: thread
outcome: error
says: forgotten
"""

import threading


def test_offender() -> None:
    """Passes."""
    threading.Thread(target=threading.Event().wait, daemon=True, name="forgotten").start()  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
