"""unittest's own way of async tests, with clean-up."""

import asyncio
import unittest


class TestIt(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.events = []

    async def asyncSetUp(self):
        self.task = asyncio.create_task(asyncio.Event().wait())
        self.addAsyncCleanup(self.end)

    async def end(self):
        self.task.cancel()
        try:
            await self.task
        except asyncio.CancelledError:
            self.events.append("ended")

    async def test_it(self):
        await asyncio.sleep(0)
        self.assertFalse(self.task.done())
