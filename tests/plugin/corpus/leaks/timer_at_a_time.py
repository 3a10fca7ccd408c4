"""call at.

kind: timer
outcome: error
"""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_offender():
    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + 3600, print)  # made here


def test_innocent():
    """An innocent neighbour."""
