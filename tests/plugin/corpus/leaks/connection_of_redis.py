"""A redis client is used and never closed.

kind: connection
outcome: error
says: connection of redis to 127.0.0.1:
"""

import asyncio

import pytest
import redis.asyncio

KEPT = []


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says OK to everything."""
    while line := await reader.readline():
        if line.startswith(b"*"):
            writer.write(b"+OK\r\n")
    writer.close()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = redis.asyncio.Redis(port=server.sockets[0].getsockname()[1], protocol=2)
    KEPT.append(client)
    await client.ping()  # made here
    server.close()


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
