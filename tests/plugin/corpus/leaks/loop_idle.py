"""A loop is made, never used and never closed.

kind: loop
outcome: error
says: event loop
"""

import asyncio

KEPT = []


def test_offender() -> None:
    """Passes."""
    KEPT.append(asyncio.new_event_loop())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert True
