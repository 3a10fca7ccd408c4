"""A loop made by hand is left open with a task pending on it.

kind: task
outcome: error
besides: loop
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


KEPT = []


def test_offender() -> None:
    """Passes."""
    loop = asyncio.new_event_loop()
    KEPT.append((loop, loop.create_task(pump())))  # made here
    loop.run_until_complete(asyncio.sleep(0))


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
