"""asyncio.to_thread, wait_for, timeout, gather and a queue."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_it():
    assert await asyncio.wait_for(asyncio.to_thread(sum, [1, 2]), 5) == 3
    async with asyncio.timeout(5):
        assert await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)) == [1, 2]
    queue = asyncio.Queue()
    await queue.put(1)
    assert await queue.get() == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
