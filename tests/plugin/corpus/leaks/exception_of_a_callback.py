"""A callback of the event loop raises where nobody can catch it.

kind: exception
outcome: error
says: a callback of the event loop raised ValueError: in a callback
"""

import asyncio

import pytest


def fail() -> None:
    """Called by the loop."""
    raise ValueError("in a callback")  # made here


@pytest.mark.asyncio
async def test_offender() -> None:
    """Asyncio prints the exception and goes on."""
    asyncio.get_running_loop().call_soon(fail)
    await asyncio.sleep(0.01)


def test_innocent() -> None:
    """Nothing is wrong here."""
