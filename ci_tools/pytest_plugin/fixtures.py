"""Fixtures: the services, for tests that want them by name."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ci_tools.model.service import Endpoint, ServiceKind

if TYPE_CHECKING:
    from ci_tools.pytest_plugin.provisioning import Provisioning
    from ci_tools.services.redis import RedisServer

PROVISIONING = pytest.StashKey["Provisioning"]()


def provisioning_of(config: pytest.Config) -> "Provisioning":
    """The services of this process; of a process where everything else is off, from the first call on."""
    known = config.stash.get(PROVISIONING, None)
    if known is None:
        from ci_tools.pytest_plugin.provisioning import Provisioning  # noqa: PLC0415 - most processes ask for no service

        known = config.stash[PROVISIONING] = Provisioning(config.rootpath, None)
        config.add_cleanup(known.remove)
    return known


@pytest.fixture(scope="session")
def redis_endpoint(pytestconfig: pytest.Config) -> Endpoint:
    """Where this worker's Redis answers. The server is this worker's own unless the configuration shares one."""
    return provisioning_of(pytestconfig).endpoint(ServiceKind.REDIS)


@pytest.fixture(scope="session")
def redis_url(redis_endpoint: Endpoint) -> str:
    """The URL of this worker's Redis, with its password."""
    return redis_endpoint.url


@pytest.fixture
def redis_server(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Iterator["RedisServer"]:
    """A Redis for this test alone, which it may ``kill()`` and ``restart()``; ended after the test."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[:60]
    with provisioning_of(pytestconfig).new_redis(name) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_endpoint(pytestconfig: pytest.Config) -> Endpoint:
    """Where this worker's PostgreSQL database answers."""
    return provisioning_of(pytestconfig).endpoint(ServiceKind.POSTGRES)


@pytest.fixture(scope="session")
def postgres_url(postgres_endpoint: Endpoint) -> str:
    """The URL of this worker's PostgreSQL database, with its password."""
    return postgres_endpoint.url
