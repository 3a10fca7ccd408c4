"""A plain TestCase has an asyncSetUp that nobody calls.

says: asyncSetUp
"""

import unittest


class TestCase(unittest.TestCase):
    """Believes that it is set up."""

    async def asyncSetUp(self) -> None:
        """Never runs."""
        raise AssertionError

    def test_offender(self) -> None:
        """Passes."""


def test_innocent() -> None:
    """An innocent neighbour."""
