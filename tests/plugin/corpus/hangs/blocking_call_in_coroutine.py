"""An async test blocks its loop: cancelling does nothing, so it is interrupted inside its task.

outcome: timed_out
ends: no
"""

import time

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
@pytest.mark.asyncio
async def test_offender() -> None:
    """Out of time in a blocking call inside a coroutine."""
    time.sleep(3600)  # noqa: ASYNC251 - the misbehaviour


def test_after() -> None:
    """An innocent neighbour."""
