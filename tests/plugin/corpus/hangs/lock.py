"""A lock that is held already is taken again: Python hands signals over even there.

outcome: timed_out
ends: no
"""

import threading

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time in a lock."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def test_after() -> None:
    """An innocent neighbour."""
