"""A fixture starts a task that its tear-down does not stop.

kind: task
outcome: error
owner: fixture server (function)
"""

import asyncio

import pytest
import pytest_asyncio


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest_asyncio.fixture
async def server() -> None:
    """Starts what it does not stop."""
    asyncio.create_task(pump())  # made here


@pytest.mark.asyncio
async def test_offender(server: None) -> None:
    """Passes."""


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
