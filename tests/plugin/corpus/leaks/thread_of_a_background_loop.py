"""An event loop is left running in a thread of its own.

kind: thread
outcome: error
says: forgotten-loop
"""

import asyncio
import threading


def test_offender() -> None:
    """Asks the loop for one answer and never stops it."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="forgotten-loop").start()  # made here
    assert asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 5), loop).result(5) == 5


def test_innocent() -> None:
    """The loop has been stopped: its thread is gone."""
    assert all(thread.name != "forgotten-loop" for thread in threading.enumerate())
