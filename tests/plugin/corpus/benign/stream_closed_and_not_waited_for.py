"""A stream is closed and nobody waits until it is: one turn of the loop is enough."""

import asyncio

import pytest


async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Waits for the other side to hang up."""
    await reader.read()
    writer.close()


@pytest.mark.asyncio
async def test_it() -> None:
    """Closes both ends without waiting."""
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.close()
    server.close()
