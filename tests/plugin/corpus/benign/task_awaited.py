"""A task that is awaited."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves nothing."""
    await asyncio.create_task(asyncio.sleep(0))
