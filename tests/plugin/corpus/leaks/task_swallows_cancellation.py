"""A task that cannot be cancelled: it is named, and the loop closes all the same.

kind: task
outcome: error
says: swallows its cancellation
"""

import asyncio

import pytest


async def pump() -> None:
    """Works for ever, whatever is said."""
    while True:
        try:
            await asyncio.Event().wait()
        except BaseException:  # noqa: BLE001 - the misbehaviour
            continue


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    asyncio.create_task(pump())  # made here
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
