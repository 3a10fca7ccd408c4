"""A stream is opened and never closed; its server behaves.

kind: connection
outcome: error
says: socket to 127.0.0.1:
"""

import asyncio

import pytest


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Waits for the other side to hang up."""
    await reader.read()
    writer.close()


KEPT = []


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    KEPT.append(await asyncio.open_connection(*server.sockets[0].getsockname()))  # made here
    server.close()


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
