"""An async test catches its cancellation, again and again.

outcome: timed_out
ends: yes
"""

import asyncio

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
@pytest.mark.asyncio
async def test_offender() -> None:
    """Out of time and deaf to it."""
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:  # noqa: BLE001 - the misbehaviour
            continue


def test_after() -> None:
    """An innocent neighbour."""
