"""A thread of an executor is left at work: the interpreter joins it for ever, before it joins any other thread.

outcome: error
ends: exit
named: forgotten
"""

import threading
from concurrent.futures import ThreadPoolExecutor


def test_before() -> None:
    """An innocent neighbour."""


def test_offender() -> None:
    """Passes; the process does not end."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="forgotten")
    executor.submit(threading.Event().wait, 3600)
    executor.shutdown(wait=False)


def test_after() -> None:
    """An innocent neighbour."""
