"""A loop reads from a named pipe when the test ends.

kind: file
outcome: error
says: fifo
"""

import asyncio
import os
from pathlib import Path

import pytest


@pytest.mark.asyncio
async def test_offender(tmp_path: Path) -> None:
    """Passes."""
    os.mkfifo(tmp_path / "fifo")
    file = (tmp_path / "fifo").open("r+b", buffering=0)  # made here
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, file)


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour."""
