"""A loop is made by its class and never closed.

kind: loop
outcome: error
"""

import asyncio

KEPT = []


def test_offender() -> None:
    """Passes."""
    KEPT.append(asyncio.SelectorEventLoop())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
