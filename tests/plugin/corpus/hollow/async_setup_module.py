"""An async setup_module is called and never awaited.

says: setup_module
"""


async def setup_module() -> None:
    """Never runs."""
    raise AssertionError


def test_offender() -> None:
    """Passes."""
