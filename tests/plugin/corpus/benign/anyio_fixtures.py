"""anyio's plugin keeps one task for fixtures and tests of a module."""

import asyncio
from collections.abc import AsyncIterator

import pytest


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Asyncio alone."""
    return "asyncio"


@pytest.fixture(scope="module")
async def worker(anyio_backend: str) -> AsyncIterator[asyncio.Task[None]]:
    """Lives as long as the module."""
    task = asyncio.create_task(asyncio.sleep(3600))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.anyio
@pytest.mark.parametrize("number", range(3))
async def test_it(worker: asyncio.Task[None], number: int) -> None:
    """Finds it alive."""
    await asyncio.create_task(asyncio.sleep(0))
    assert not worker.done()
