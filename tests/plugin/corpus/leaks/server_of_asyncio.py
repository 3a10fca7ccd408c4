"""An asyncio server is started and never closed.

kind: connection
outcome: error
says: listening socket on 127.0.0.1:
"""

import asyncio

import pytest


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hangs up."""
    writer.close()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    await asyncio.start_server(answer, "127.0.0.1", 0)  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
