"""Two loops of one test: closing the one ends nothing of what the other is still at."""

import asyncio
from collections.abc import AsyncIterator


async def _numbers() -> AsyncIterator[int]:
    yield 1
    yield 2


def test_two_loops() -> None:
    """What the first loop has begun goes on after the second one's end, and is ended there."""
    numbers = _numbers()
    fired: list[int] = []

    async def begin() -> asyncio.TimerHandle:
        assert await anext(numbers) == 1
        return asyncio.get_running_loop().call_later(600, fired.append, 1)

    async def end(timer: asyncio.TimerHandle) -> None:
        assert await anext(numbers) == 2
        await numbers.aclose()
        assert not timer.cancelled()
        timer.cancel()

    with asyncio.Runner() as first:
        timer = first.run(begin())
        with asyncio.Runner() as second:
            second.run(asyncio.sleep(0))
        first.run(end(timer))
    assert not fired
