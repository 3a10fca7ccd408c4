"""A thread that ends has started one that does not.

kind: thread
outcome: error
"""

import threading


def start() -> None:
    """Starts what it does not stop."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()  # made here


def test_offender() -> None:
    """Passes."""
    starter = threading.Thread(target=start)
    starter.start()
    starter.join()


def test_innocent() -> None:
    """An innocent neighbour."""
