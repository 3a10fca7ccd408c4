"""A server of a module's fixture takes asyncio's handler of SIGINT, meant for one run of the loop, for what was there before."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio


class Server:
    """Handles SIGINT while it serves, and puts back what it found, as uvicorn does."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    async def serve(self) -> None:
        """Until it is told to exit."""
        found = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            await self.stopped.wait()
        finally:
            signal.signal(signal.SIGINT, found)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Server]:
    """Stopped and waited for."""
    server = Server()
    task = asyncio.create_task(server.serve())
    await asyncio.sleep(0)
    yield server
    server.stopped.set()
    await task


@pytest.mark.asyncio(loop_scope="module")
async def test_first(server: Server) -> None:
    """Is served."""
    assert not server.stopped.is_set()


@pytest.mark.asyncio(loop_scope="module")
async def test_second(server: Server) -> None:
    """Is served, too."""
    assert not server.stopped.is_set()
