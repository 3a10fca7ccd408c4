"""A coroutine on uvloop waits for something that never comes.

outcome: timed_out
ends: no
"""

import asyncio

import pytest
import uvloop


@pytest.mark.timeout(1)
def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Waits for ever."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    uvloop.run(wait())


@pytest.mark.timeout(1)
def test_after() -> None:
    """An innocent neighbour."""
