"""A failing test leaves a task: the failure stays first, the leak is reported beside it.

kind: task
outcome: failed
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Fails."""
    asyncio.create_task(pump())  # made here
    raise AssertionError


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
