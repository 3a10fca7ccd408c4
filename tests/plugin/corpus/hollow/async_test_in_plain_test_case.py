"""An async method of a plain TestCase is called and never awaited: it passes whatever it asserts.

says: was never awaited
"""

import unittest


class TestCase(unittest.TestCase):
    """Has no loop."""

    async def test_offender(self) -> None:
        """Would fail if it ran."""
        raise AssertionError


def test_innocent() -> None:
    """An innocent neighbour."""
