"""The platform on real services, and a witness with connections of its own to look at what it left there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from witness import Witness

from agent_platform.testing import LiveServer, create_test_app


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """A running platform with a Redis namespace and a database of its own."""
    async with LiveServer(create_test_app(workdir=tmp_path)) as server:
        yield server


@pytest.fixture
async def witness(live: LiveServer) -> AsyncIterator[Witness]:
    """Reads the same database and the same Redis by other connections."""
    async with Witness(live.settings) as reader:
        yield reader
