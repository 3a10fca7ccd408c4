"""An async generator is begun, kept, and neither finished nor closed.

kind: generator
outcome: error
says: async generator numbers was neither finished nor closed
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

KEPT = []


async def numbers() -> AsyncIterator[int]:
    """Counts."""
    for number in range(10):
        yield number


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    generator = numbers()
    KEPT.append(generator)
    assert await anext(generator) == 0  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
