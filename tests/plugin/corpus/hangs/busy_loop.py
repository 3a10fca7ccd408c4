"""Sync code computes for ever: interrupted between two instructions.

outcome: timed_out
ends: no
"""

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time in a loop."""
    number = 0
    while True:
        number += 1


def test_after() -> None:
    """An innocent neighbour."""
