"""A daemon forks twice, and nobody is its parent any more.

kind: process
outcome: error
says: detached
"""

import os
import time


def test_offender() -> None:
    """Passes."""
    child = os.fork()  # made here
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(3600)
        os._exit(0)
    os.waitpid(child, 0)


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
