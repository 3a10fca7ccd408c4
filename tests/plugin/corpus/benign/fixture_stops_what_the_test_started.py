"""A test starts tasks through a fixture that ends them in its tear-down."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Callable[[], None]]:
    """Starts workers and ends them."""
    tasks: list[asyncio.Task[None]] = []
    yield lambda: tasks.append(asyncio.create_task(asyncio.sleep(3600)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_it(start: Callable[[], None]) -> None:
    """Leaves it to the fixture."""
    start()
