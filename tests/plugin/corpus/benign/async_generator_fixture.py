"""An async generator fixture, suspended while the test runs."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio


@pytest_asyncio.fixture
async def value() -> AsyncIterator[int]:
    """Suspended at its yield."""
    await asyncio.sleep(0)
    yield 1
    await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_it(value: int) -> None:
    """Uses it."""
    assert value == 1
