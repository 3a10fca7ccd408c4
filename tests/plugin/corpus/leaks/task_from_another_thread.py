"""A thread gives a loop a coroutine that nobody ends.

kind: task
outcome: error
"""

import asyncio
import threading

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    loop = asyncio.get_running_loop()
    begun = asyncio.Event()

    def work() -> None:
        asyncio.run_coroutine_threadsafe(pump(), loop)  # made here
        loop.call_soon_threadsafe(begun.set)

    thread = threading.Thread(target=work)
    thread.start()
    await begun.wait()
    thread.join()


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour."""
