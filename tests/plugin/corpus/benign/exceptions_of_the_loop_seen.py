"""What callbacks and futures raise is taken: by a handler of the loop, by whoever asks the future."""

import asyncio

import pytest


@pytest.mark.asyncio
async def test_handler() -> None:
    """A loop with a handler has somebody who looks."""
    seen: list[BaseException] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: seen.append(context["exception"]))
    loop.call_soon(int, "no number")
    await asyncio.sleep(0.01)
    loop.set_exception_handler(before)
    assert isinstance(seen[0], ValueError)


@pytest.mark.asyncio
async def test_asked() -> None:
    """A future that was asked, and one that was cancelled."""
    loop = asyncio.get_running_loop()
    asked, cancelled = loop.create_future(), loop.create_future()
    loop.call_soon(asked.set_exception, KeyError("key"))
    cancelled.cancel()
    with pytest.raises(KeyError):
        await asked
