"""A loop reads from a pipe when the test ends.

kind: file
outcome: error
"""

import asyncio
import os

import pytest


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    read, write = os.pipe()
    os.close(write)
    file = os.fdopen(read)  # made here
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, file)


def test_innocent() -> None:
    """An innocent neighbour."""
