"""The set-up of an async fixture waits for what never comes: the stacks show its own line, through the plugin's task.

outcome: timed_out
ends: no
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio


def test_before() -> None:
    """An innocent neighbour."""


@pytest_asyncio.fixture
async def never_up() -> AsyncIterator[None]:
    """Never comes up."""
    await asyncio.Event().wait()
    yield


@pytest.mark.timeout(1)
@pytest.mark.usefixtures("never_up")
@pytest.mark.asyncio
async def test_offender() -> None:
    """Never begins."""


def test_after() -> None:
    """An innocent neighbour."""
