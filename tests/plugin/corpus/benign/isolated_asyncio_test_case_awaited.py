"""An IsolatedAsyncioTestCase runs its async methods."""

import asyncio
import unittest


class TestCase(unittest.IsolatedAsyncioTestCase):
    """Has a loop."""

    async def asyncSetUp(self) -> None:
        """Runs."""
        self.value = 1

    async def test_it(self) -> None:
        """Runs."""
        await asyncio.sleep(0)
        self.assertEqual(self.value, 1)
