"""A future of one loop is awaited in another.

kind: loop
outcome: failed
says: belongs to another event loop
"""

import asyncio


async def wait_for(future: object) -> object:
    """Waits."""
    return await future  # type: ignore[misc]  # made here


def test_offender() -> None:
    """Fails, and it is hard to see why."""
    loop = asyncio.new_event_loop()
    try:
        asyncio.run(wait_for(loop.create_future()))
    finally:
        loop.close()


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
