"""A loop made by hand is closed with a task pending on it.

kind: task
outcome: error
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


def test_offender() -> None:
    """Passes."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(pump())  # made here
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    del task


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
