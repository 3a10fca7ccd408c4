"""A WebSocket is opened and never closed; its server behaves.

kind: connection
outcome: error
says: connection of websockets to 127.0.0.1:
"""

import threading
from collections.abc import Iterator

import pytest
import websockets.asyncio.client
import websockets.sync.server

KEPT = []


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """A server that waits for every client to go."""
    with websockets.sync.server.serve(list, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.asyncio
async def test_offender(address: str) -> None:
    """Passes."""
    KEPT.append(await websockets.asyncio.client.connect(address, proxy=None, ping_interval=None))  # made here


@pytest.mark.asyncio
async def test_innocent() -> None:
    """An innocent neighbour on the same kind of loop."""
