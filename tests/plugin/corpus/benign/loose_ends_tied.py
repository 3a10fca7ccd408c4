"""A generator closed, a timer cancelled, an exception asked for, a coroutine closed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest


async def numbers() -> AsyncIterator[int]:
    """Counts."""
    for number in range(10):
        yield number


async def fail() -> None:
    """Fails."""
    raise ValueError


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves nothing."""
    async with contextlib.aclosing(numbers()) as generator:
        assert await anext(generator) == 0
    async for number in numbers():
        if number == 1:
            break
    asyncio.get_running_loop().call_later(3600, print).cancel()
    task = asyncio.create_task(fail())
    with pytest.raises(ValueError):  # noqa: PT011 - any
        await task
    numbers_never_begun = numbers()
    assert numbers_never_begun is not None
    fail().close()
