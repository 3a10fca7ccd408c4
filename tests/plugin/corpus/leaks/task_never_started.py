"""A task that has not run a single step when its test ends.

kind: task
outcome: error
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    asyncio.create_task(pump())  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
