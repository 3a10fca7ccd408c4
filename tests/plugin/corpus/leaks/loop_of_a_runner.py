"""A runner is not closed, nor is its loop.

kind: loop
outcome: error
"""

import asyncio


def test_offender() -> None:
    """Passes."""
    runner = asyncio.Runner()  # made here
    runner.run(asyncio.sleep(0))


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
