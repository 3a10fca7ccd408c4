"""An asyncio child that is awaited."""

import asyncio
import sys

import pytest


@pytest.mark.asyncio
async def test_it() -> None:
    """Leaves nothing."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    assert await child.wait() == 0
