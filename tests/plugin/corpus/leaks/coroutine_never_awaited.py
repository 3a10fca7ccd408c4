"""A coroutine is made and not awaited.

kind: coroutine
outcome: error
says: coroutine work was never awaited
"""

import asyncio

import pytest


async def work() -> None:
    """Never happens."""


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    work()  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
