"""Sync code catches whatever is raised at it: the process has to end.

outcome: timed_out
ends: yes
"""

import time

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time and deaf to it."""
    while True:
        try:
            time.sleep(3600)
        except BaseException:  # noqa: BLE001 - the misbehaviour
            continue


def test_after() -> None:
    """An innocent neighbour."""
