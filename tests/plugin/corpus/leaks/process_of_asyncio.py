"""asyncio starts a child that is neither ended nor awaited.

kind: process
outcome: error
"""

import asyncio
import sys

import pytest

KEPT = []


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(3600)")  # made here
    KEPT.append(child)


def test_innocent() -> None:
    """An innocent neighbour."""
