"""Fixtures: the services, for tests that want them by name."""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ci_tools.model.service import Endpoint, ServiceKind

if TYPE_CHECKING:
    from ci_tools.pytest_plugin.provisioning import Provisioning
    from ci_tools.services.databases import Databases
    from ci_tools.services.redis import RedisServer

_NUMBERS = itertools.count(1)
"""One for each database of this process; its worker's own database comes before it in the name."""

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


@pytest.fixture(scope="session")
def redis_prefix(redis_endpoint: Endpoint) -> str:
    """How every key and channel must begin: empty, but where this worker has a prefix of an adopted Redis and no more."""
    return redis_endpoint.prefix


@pytest.fixture
def clean_redis_url(pytestconfig: pytest.Config, redis_endpoint: Endpoint) -> str:
    """The same URL after FLUSHDB: this worker's database is empty when the test begins."""
    from ci_tools.services.cleaning import empty_redis  # noqa: PLC0415 - most processes empty nothing

    provisioning_of(pytestconfig).demand_own(ServiceKind.REDIS, "clean_redis_url")
    empty_redis(redis_endpoint)
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


@pytest.fixture(scope="session")
def postgres_template() -> str:
    """The database that ``clean_postgres_url`` clones; nobody may be connected to it. Override it to give tests your schema."""
    return "template1"


@pytest.fixture(scope="session")
def _postgres_databases(postgres_endpoint: Endpoint) -> Iterator["Databases"]:
    """What makes and drops databases for tests, over one connection that is nobody's leak."""
    from ci_tools.services.databases import Databases  # noqa: PLC0415 - most processes clone nothing

    with Databases(postgres_endpoint) as found:
        yield found


@pytest.fixture
def clean_postgres_url(postgres_endpoint: Endpoint, postgres_template: str, _postgres_databases: "Databases") -> Iterator[str]:
    """The URL of a database for this test alone, cloned from ``postgres_template`` and dropped after the test."""
    from ci_tools.pytest_plugin.ownership import unowned  # noqa: PLC0415 - most processes clone nothing

    name = f"{postgres_endpoint.database}_{next(_NUMBERS)}"
    with unowned():
        cloned = _postgres_databases.clone(name, template=postgres_template)
    yield cloned.url
    with unowned():
        _postgres_databases.drop(name)
