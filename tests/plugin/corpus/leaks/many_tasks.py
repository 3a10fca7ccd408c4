"""Three tasks from one line: each is named.

kind: task
outcome: error
count: 3
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    tasks = [asyncio.create_task(pump()) for _ in range(3)]  # made here
    await asyncio.sleep(0)
    del tasks


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
