"""An async setup_method is called and never awaited.

says: setup_method
"""


class TestIt:
    """Believes that it is set up."""

    async def setup_method(self) -> None:
        """Never runs."""
        raise AssertionError

    def test_offender(self) -> None:
        """Passes."""


def test_innocent() -> None:
    """An innocent neighbour."""
