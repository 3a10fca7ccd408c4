"""A task that is cancelled and gets its last turn when the loop settles."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves nothing that lives."""
    task = asyncio.create_task(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
