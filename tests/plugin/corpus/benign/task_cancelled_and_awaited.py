"""A task that is cancelled and awaited."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves nothing."""
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
