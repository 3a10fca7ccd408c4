"""A fixture's tear-down hangs and catches whatever is raised at it.

outcome: timed_out
ends: yes
"""

import time
from collections.abc import Iterator

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.fixture
def deaf() -> Iterator[None]:
    """Never comes back from its tear-down."""
    yield
    while True:
        try:
            time.sleep(3600)
        except BaseException:  # noqa: BLE001 - the misbehaviour
            continue


@pytest.mark.timeout(1)
@pytest.mark.usefixtures("deaf")
def test_offender() -> None:
    """Passes, and then hangs."""


def test_after() -> None:
    """An innocent neighbour."""
