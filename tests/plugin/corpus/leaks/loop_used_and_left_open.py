"""A loop has done its work and is not closed.

kind: loop
outcome: error
"""

import asyncio


def test_offender() -> None:
    """Passes."""
    loop = asyncio.new_event_loop()  # made here
    loop.run_until_complete(asyncio.sleep(0))


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
