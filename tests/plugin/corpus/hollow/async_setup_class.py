"""An async setup_class is called and never awaited.

says: setup_class
"""


class TestIt:
    """Believes that it is set up."""

    @classmethod
    async def setup_class(cls) -> None:
        """Never runs."""
        raise AssertionError

    def test_offender(self) -> None:
        """Passes."""


def test_innocent() -> None:
    """An innocent neighbour."""
