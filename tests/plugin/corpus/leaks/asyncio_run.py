"""A sync test runs a program that leaves a task: asyncio.run cancels it without a word.

kind: task
outcome: failed
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


async def main() -> None:
    """Starts what it does not stop."""
    asyncio.create_task(pump())  # made here


def test_offender() -> None:
    """Passes."""
    asyncio.run(main())


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
