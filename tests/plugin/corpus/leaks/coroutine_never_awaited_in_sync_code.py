"""A coroutine is made in a test without a loop, and kept until the test ends: where it was made is no longer known.

kind: coroutine
outcome: error
place: unknown
says: coroutine work_later was never awaited
"""


async def work_later() -> None:
    """Never happens."""


def test_offender() -> None:
    """Passes."""
    kept = work_later()  # made here
    assert kept is not None


def test_innocent() -> None:
    """An innocent neighbour."""
