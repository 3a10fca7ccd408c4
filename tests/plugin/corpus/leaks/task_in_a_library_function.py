"""A function of the project makes the task: the line named is in the function, the stack shows the test.

kind: task
outcome: error
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


def start() -> None:
    """Starts what it does not stop."""
    asyncio.get_running_loop().create_task(pump())  # made here


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    start()


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
