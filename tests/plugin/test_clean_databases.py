"""Fixtures for tests that want a database to themselves: emptied before, or cloned and dropped."""

from pathlib import Path

import pytest
import redis
from suites import run_suite, write_suite

from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps
from ci_tools.model.service import Isolation, ServiceKind, ServiceSpec
from ci_tools.pytest_plugin.slots import claim, empty
from ci_tools.services import databases, pgwire
from ci_tools.services.postgres import start_postgres
from ci_tools.services.provision import provide
from ci_tools.services.redis import start_redis

REDIS_SUITE = """
import pytest
import redis

NUMBERS = range(6)


@pytest.mark.parametrize("number", NUMBERS)
def test_is_clean(clean_redis_url, redis_prefix, number):
    with redis.Redis.from_url(clean_redis_url, decode_responses=True) as client:
        assert [key for key in client.keys() if key.startswith(redis_prefix)] == []
        client.set(f"{redis_prefix}left", number)


def test_is_the_workers_own(clean_redis_url, redis_url):
    assert clean_redis_url == redis_url
"""

POSTGRES_SUITE = """
import pytest
from ci_tools.services import databases, pgwire


@pytest.fixture(scope="session")
def postgres_template(postgres_endpoint):
    name = f"{postgres_endpoint.database}_0"
    template = databases.clone(postgres_endpoint, name)
    with pgwire.connect(databases.target_of(template)) as connection:
        connection.query("CREATE TABLE users (name text)")
    yield name
    databases.drop(postgres_endpoint, name)


@pytest.mark.parametrize("number", range(4))
def test_is_alone_with_the_schema(clean_postgres_url, postgres_url, postgres_endpoint, number):
    name = clean_postgres_url.rpartition("/")[2]
    assert clean_postgres_url != postgres_url
    with pgwire.connect(databases.target_of(databases.at(postgres_endpoint, name))) as connection:
        assert connection.value("SELECT current_database()") == name
        assert connection.value("SELECT count(*) FROM users") == "0"
        connection.query(f"INSERT INTO users VALUES ('{number}')")


def test_none_is_left(postgres_endpoint):
    with pgwire.connect(databases.target_of(postgres_endpoint)) as connection:
        rows = connection.query("SELECT datname FROM pg_database WHERE datname LIKE 'ci\\\\_tools%'")
    own = postgres_endpoint.database
    assert {name for (name,) in rows if name.startswith(own)} <= {own, f"{own}_0"}
"""


def passed(run: object, count: int) -> bool:
    """Whether so many tests ran and all passed."""
    outcomes = list(run.outcomes.values())  # type: ignore[attr-defined] # a SuiteRun
    return outcomes == [Outcome.PASSED] * count


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "two workers"])
def test_redis_is_empty_before_each_test_that_asks(tmp_path: Path, workers: tuple[str, ...]) -> None:
    """What the test before left is gone, and no other worker's test is disturbed."""
    write_suite(tmp_path, {"test_it.py": REDIS_SUITE})
    run = run_suite(tmp_path, "-q", *workers)
    assert passed(run, 7), run.output
    assert run.left_behind == ()


def test_an_adopted_redis_is_emptied_in_what_was_leased_only(tmp_path: Path) -> None:
    """Two workers on a server with two databases: one flushes its database, one removes its prefix; all else stays."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, options={"databases": "2"})
    write_suite(tmp_path, {"test_it.py": REDIS_SUITE})
    with start_redis(spec, environ={"PATH": ""}, folder=tmp_path) as foreign:
        environ = {"CI_TOOLS_REDIS_URL": foreign.url.rpartition("/")[0]}
        run = run_suite(tmp_path, "-q", "-n", "2", environ=environ)
        assert passed(run, 7), run.output
        with redis.Redis.from_url(foreign.url, decode_responses=True) as client:
            assert (client.keys(), client.acl_users(), "cmdstat_flushall" in client.info("commandstats")) == (
                [],
                ["default"],
                False,
            )


def test_a_shared_database_is_not_emptied_under_others(tmp_path: Path) -> None:
    """With shared isolation the fixture is refused, with the key that says so."""
    table = "\n[tool.ci-tools.services.redis]\nisolation = 'shared'\n"
    write_suite(tmp_path, {"test_it.py": REDIS_SUITE}, guards=table)
    run = run_suite(tmp_path, "-q", "-k", "is_clean and 0")
    assert list(run.outcomes.values()) == [Outcome.ERROR], run.output
    assert "clean_redis_url needs a database of this worker's own" in run.output


@pytest.mark.parametrize("is_adopted", [False, True], ids=["ours", "adopted"])
def test_each_test_has_a_clone_of_the_template(tmp_path: Path, is_adopted: bool) -> None:
    """A database of its own with the suite's schema, dropped after the test, on a server of ours and on somebody else's."""
    write_suite(tmp_path, {"test_it.py": POSTGRES_SUITE})
    if not is_adopted:
        run = run_suite(tmp_path, "-q")
        assert passed(run, 5), run.output
        return
    with start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES), environ={"PATH": ""}, folder=tmp_path) as foreign:
        run = run_suite(tmp_path, "-q", environ={"CI_TOOLS_POSTGRES_URL": foreign.url})
        assert passed(run, 5), run.output
        with pgwire.connect(databases.target_of(foreign.endpoint)) as connection:
            assert connection.query("SELECT datname FROM pg_database WHERE datname LIKE 'ci_tools%'") == []


def test_a_clone_that_a_dead_run_left_is_dropped_by_the_next(tmp_path: Path) -> None:
    """A killed test's database on an adopted server bears its run's name: the next run finds it."""
    with start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES), environ={"PATH": ""}, folder=tmp_path) as foreign:
        for name in ("ci_tools_run_123456_1", "ci_tools_run_123456_1_7", "ci_tools_run_of_mine"):
            databases.clone(foreign.endpoint, name)
        with provide([ServiceSpec(kind=ServiceKind.POSTGRES)], environ={"CI_TOOLS_POSTGRES_URL": foreign.url}, folder=tmp_path):
            pass
        with pgwire.connect(databases.target_of(foreign.endpoint)) as connection:
            left = connection.query("SELECT datname FROM pg_database WHERE datname LIKE 'ci_tools%'")
        assert left == [("ci_tools_run_of_mine",)]


@pytest.mark.parametrize("isolation", list(Isolation))
@pytest.mark.parametrize("is_adopted", [False, True], ids=["ours", "adopted"])
def test_a_worker_that_takes_over_finds_what_was_its_own_empty(tmp_path: Path, is_adopted: bool, isolation: Isolation) -> None:
    """A replaced worker's part is emptied, also on an adopted server; what others have, and what all share, stays."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, isolation=isolation)
    with start_redis(ServiceSpec(kind=ServiceKind.REDIS, options={"databases": "2"}), environ={}, folder=tmp_path) as foreign:
        environ = {"CI_TOOLS_REDIS_URL": foreign.url} if is_adopted else {}
        with provide([spec], environ=environ, folder=tmp_path, slots=2) as provision:
            (tmp_path / "slots.json").write_text(dumps(provision.slots), encoding="utf-8")
            clients = [redis.Redis.from_url(slot.endpoints[0].url) for slot in provision.slots]
            keys = [f"{slot.endpoints[0].prefix}left" for slot in provision.slots]
            for client, key in zip(clients, keys, strict=True):
                client.set(key, 1)
            claimed = claim(str(tmp_path / "slots.json"))
            empty(claimed)
            claimed.release()
            left = [client.exists(key) for client, key in zip(clients, keys, strict=True)]
            for client in clients:
                client.close()
    assert left == ([1, 1] if isolation is Isolation.SHARED else [0, 1])
