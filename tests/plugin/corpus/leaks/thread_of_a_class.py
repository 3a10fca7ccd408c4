"""A thread class of the project, started by a function of the project.

kind: thread
outcome: error
"""

import threading


class Pump(threading.Thread):
    """Works for ever."""

    def run(self) -> None:
        """Wait for what never comes."""
        threading.Event().wait()


def start() -> None:
    """Starts what it does not stop."""
    Pump(daemon=True).start()  # made here


def test_offender() -> None:
    """Passes."""
    start()


def test_innocent() -> None:
    """An innocent neighbour."""
