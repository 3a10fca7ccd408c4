"""The call fails, then a fixture's tear-down hangs: the failure does not cancel the deadline.

outcome: timed_out
ends: no
"""

import time
from collections.abc import Iterator

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.fixture
def slow_to_leave() -> Iterator[None]:
    """Never comes back from its tear-down."""
    yield
    time.sleep(3600)


@pytest.mark.timeout(1)
@pytest.mark.usefixtures("slow_to_leave")
def test_offender() -> None:
    """Fails, and then hangs."""
    raise AssertionError


def test_after() -> None:
    """An innocent neighbour."""
