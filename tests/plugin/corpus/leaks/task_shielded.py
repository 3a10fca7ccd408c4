"""shielded.

kind: task
outcome: error
"""

import asyncio

import pytest


async def pump():
    await asyncio.sleep(3600)


@pytest.mark.asyncio
async def test_offender():
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(pump()), 0.01)  # made here


def test_innocent():
    """An innocent neighbour."""
