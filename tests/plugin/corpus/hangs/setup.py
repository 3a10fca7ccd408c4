"""A fixture's set-up hangs.

outcome: timed_out
ends: no
"""

import time

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.fixture
def slow_to_come() -> None:
    """Never comes up."""
    time.sleep(3600)


@pytest.mark.timeout(1)
@pytest.mark.usefixtures("slow_to_come")
def test_offender() -> None:
    """Never begins."""


def test_after() -> None:
    """An innocent neighbour."""
