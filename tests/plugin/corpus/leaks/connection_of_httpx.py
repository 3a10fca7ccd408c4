"""An httpx client keeps a connection alive and is never closed.

kind: connection
outcome: error
says: connection of httpx to 127.0.0.1:
"""

import asyncio

import httpx
import pytest

KEPT = []


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves an empty page and keeps the connection."""
    while await reader.readline() not in (b"\r\n", b""):
        pass
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await reader.read()
    writer.close()


@pytest.mark.asyncio
async def test_offender() -> None:
    """Passes."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    client = httpx.AsyncClient(trust_env=False)
    KEPT.append(client)
    await client.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")  # made here
    server.close()


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
    await asyncio.sleep(0)
