"""An example of hypothesis hangs: it is not run again to be made smaller.

outcome: timed_out
ends: no
"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(2)
@settings(deadline=None)
@given(st.integers())
def test_offender(number: int) -> None:
    """Out of time in the first example."""
    time.sleep(3600 + number % 2)


def test_after() -> None:
    """An innocent neighbour."""
