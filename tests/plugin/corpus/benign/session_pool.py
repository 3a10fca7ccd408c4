"""A pool kept by a session's fixture works for test after test."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio


class Pool:
    """Keeps one worker, started when first asked."""

    def __init__(self) -> None:
        self.worker: asyncio.Task[None] | None = None

    async def ask(self) -> bool:
        """Start the worker lazily: inside the first test."""
        if self.worker is None:
            self.worker = asyncio.create_task(asyncio.sleep(3600))
        await asyncio.sleep(0)
        return not self.worker.done()

    async def close(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.cancel()
            await asyncio.gather(self.worker, return_exceptions=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool() -> AsyncIterator[Pool]:
    """One for all."""
    pool = Pool()
    yield pool
    await pool.close()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("number", range(3))
async def test_it(pool: Pool, number: int) -> None:
    """Finds the worker alive."""
    assert await pool.ask()
