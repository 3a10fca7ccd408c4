"""A task fails, is kept, and nobody asks for its result.

kind: exception
outcome: error
says: ValueError: nobody reads this
"""

import asyncio

import pytest

KEPT = []


async def work() -> None:
    """Fails."""
    raise ValueError("nobody reads this")  # made here


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    KEPT.append(asyncio.create_task(work()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
