"""A module's fixture starts a task that its tear-down does not stop: the fixture is blamed, not the last test.

kind: task
outcome: error
owner: fixture server (module)
"""

import asyncio

import pytest
import pytest_asyncio


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> None:
    """Starts what it does not stop."""
    asyncio.create_task(pump())  # made here


@pytest.mark.asyncio(loop_scope="module")
async def test_user(server: None) -> None:
    """Uses the fixture."""


@pytest.mark.asyncio(loop_scope="module")
async def test_offender(server: None) -> None:
    """Is the last to use the fixture."""
