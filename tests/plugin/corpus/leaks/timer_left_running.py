"""A timer is set and neither fires nor is cancelled before the test ends.

kind: timer
outcome: error
says: has not fired yet
"""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    asyncio.get_running_loop().call_later(3600, print, "late")  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
