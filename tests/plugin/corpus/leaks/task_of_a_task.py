"""A task starts another one and ends.

kind: task
outcome: error
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


async def start() -> None:
    """Starts what it does not stop."""
    asyncio.create_task(pump())  # made here


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    await asyncio.create_task(start())


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
