"""The platform on real services, a witness with connections of its own, and the platform that ``--target`` names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from witness import Witness

from agent_platform.testing import LiveServer, PlatformClient, RemotePlatform, create_test_app


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--target``."""
    parser.addoption("--target", metavar="URL", help="only the tests from outside, on the platform that answers at URL")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--target`` only tests from outside stay; without it the platform and its services are in their process."""
    outside = [item for item in items if "target" in getattr(item, "fixturenames", ())]
    if config.getoption("--target"):
        config.hook.pytest_deselected(items=[item for item in items if item not in outside])
        items[:] = outside
        return
    for item in outside:
        item.add_marker(pytest.mark.service("redis", "database"))


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    """A running platform with a Redis namespace and a database of its own."""
    async with LiveServer(create_test_app(workdir=tmp_path)) as server:
        yield server


@pytest.fixture
async def target(pytestconfig: pytest.Config, tmp_path: Path) -> AsyncIterator[PlatformClient]:
    """The platform at ``--target``, of which one knows its address and its simulator's key only; else one started here."""
    url = pytestconfig.getoption("--target")
    async with RemotePlatform(url) if url else LiveServer(create_test_app(workdir=tmp_path)) as platform:
        yield platform


@pytest.fixture
async def witness(live: LiveServer) -> AsyncIterator[Witness]:
    """Reads the same database and the same Redis by other connections."""
    async with Witness(live.settings) as reader:
        yield reader
