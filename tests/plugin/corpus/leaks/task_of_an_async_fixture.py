"""asyncgen fixture task.

kind: task
outcome: error
owner: fixture worker (function)
"""

import asyncio

import pytest
import pytest_asyncio


async def pump():
    await asyncio.sleep(3600)


@pytest_asyncio.fixture
async def worker():
    asyncio.create_task(pump())  # made here
    yield 1


@pytest.mark.asyncio
async def test_offender(worker):
    pass


def test_innocent():
    """An innocent neighbour."""
