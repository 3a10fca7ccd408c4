"""An async test waits for what never comes: cancelled, its finally block runs.

outcome: timed_out
ends: no
"""

import asyncio

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
@pytest.mark.asyncio
async def test_offender() -> None:
    """Out of time in an await."""
    await asyncio.Event().wait()


def test_after() -> None:
    """An innocent neighbour."""
