"""A loop made by hand is closed before a task on it has run a single step.

kind: task
outcome: error
says: was destroyed before it was done
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


def test_offender() -> None:
    """Passes."""
    loop = asyncio.new_event_loop()
    loop.create_task(pump())  # made here
    loop.close()


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
