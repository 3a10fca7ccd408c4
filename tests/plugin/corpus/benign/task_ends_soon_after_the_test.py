"""A task that ends by itself in the loop's next turns."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves a task that is nearly done."""
    asyncio.create_task(asyncio.sleep(0))
