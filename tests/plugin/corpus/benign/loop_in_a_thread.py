"""A background loop in a thread, kept by a module's fixture, works for tests."""

import asyncio
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Runs in a thread of its own, with a task that never ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    heart = asyncio.run_coroutine_threadsafe(asyncio.sleep(3600), loop)
    yield loop
    heart.cancel()
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.mark.parametrize("number", range(3))
def test_it(loop: asyncio.AbstractEventLoop, number: int) -> None:
    """Asks it."""
    assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, number), loop).result(5) == number
