"""A task group that is left properly."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves nothing."""
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(asyncio.sleep(0))
