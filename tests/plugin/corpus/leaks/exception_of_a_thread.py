"""A thread ends with an exception, and the test goes on.

kind: exception
outcome: error
says: ValueError: nobody reads this
"""

import threading


def work() -> None:
    """Fails."""
    raise ValueError("nobody reads this")  # made here


def test_offender() -> None:
    """Passes."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_innocent() -> None:
    """An innocent neighbour."""
