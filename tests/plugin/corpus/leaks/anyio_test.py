"""A test under anyio's plugin starts a raw asyncio task.

kind: task
outcome: failed
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest.fixture
def anyio_backend() -> str:
    """Asyncio alone."""
    return "asyncio"


@pytest.mark.anyio
async def test_offender() -> None:
    """Passes."""
    asyncio.create_task(pump())  # made here
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
