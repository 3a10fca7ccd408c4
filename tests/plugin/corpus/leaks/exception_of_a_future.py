"""A future with an exception is dropped unasked.

kind: exception
outcome: error
says: nobody asked a future for its exception: ValueError: nobody looks
"""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_offender() -> None:
    """The place is where it was dropped: it has no other."""
    future = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError("nobody looks"))
    del future  # made here


def test_innocent() -> None:
    """Nothing is wrong here."""
