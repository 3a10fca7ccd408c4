"""asyncio.to_thread keeps its executor's threads."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Works in a thread."""
    assert await asyncio.to_thread(sum, [1, 2]) == 3
