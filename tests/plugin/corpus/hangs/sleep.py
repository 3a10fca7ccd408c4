"""Sync code sleeps for an hour: interrupted where it stands, the worker lives on.

outcome: timed_out
ends: no
"""

import time

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time in a blocking call."""
    time.sleep(3600)


def test_after() -> None:
    """An innocent neighbour."""
