"""A task left by a method of unittest's IsolatedAsyncioTestCase.

kind: task
outcome: failed
"""

import asyncio
import unittest

import pytest


async def pump() -> None:
    """Works for ever."""
    await asyncio.Event().wait()


class TestCase(unittest.IsolatedAsyncioTestCase):
    """Brings a loop of its own."""

    async def test_offender(self) -> None:
        """Passes."""
        asyncio.create_task(pump())  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
