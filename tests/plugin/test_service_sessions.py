"""What a test leaves open on its own Redis or PostgreSQL is named: transactions, subscriptions, locks, changed settings."""

from pathlib import Path

from suites import SuiteRun, run_suite, write_suite

from ci_tools.model.case import Outcome

REDIS = """
import asyncio
import os

import pytest
import redis
import redis.asyncio

pytestmark = pytest.mark.service("redis")


@pytest.fixture(scope="session")
def pool():
    with redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as client:
        yield client


@pytest.fixture(scope="session")
def listener(pool):
    with pool.pubsub() as pubsub:
        pubsub.subscribe("always")
        yield pubsub


def test_clean(pool, listener):
    with pool.pubsub() as pubsub:
        pubsub.subscribe("news")
    with pool.pipeline() as pipeline:
        pipeline.watch("key")
        pipeline.multi()
        pipeline.set("key", 1, ex=60)
        pipeline.execute()
    with pool.lock("clean", timeout=60):
        pass
    assert pool.get("key") == "1"


def test_subscription(pool):
    KEPT.append(pool.pubsub())
    KEPT[-1].subscribe("forgotten")


def test_watch(pool):
    pipeline = pool.pipeline()
    pipeline.watch("key")
    KEPT.append(pipeline)


def test_multi(pool):
    pool.execute_command("MULTI")


def test_not_queued(pool):
    assert pool.set("key", 2, ex=60) is True


def test_lock(pool):
    KEPT.append(pool.lock("held", timeout=60))
    assert KEPT[-1].acquire()


def test_not_locked(pool):
    assert pool.exists("held") == 0


async def take(url, name, **options):
    async with redis.asyncio.Redis.from_url(url) as client:
        lock = client.lock(name, **options)
        assert await lock.acquire()
        return lock


def test_asyncio_lock():
    KEPT.append(asyncio.run(take(os.environ["REDIS_URL"], "held by asyncio", thread_local=False)))


def test_not_locked_by_asyncio(pool):
    assert pool.exists("held by asyncio") == 0


def test_asyncio_lock_that_is_no_more(pool):
    KEPT.append(asyncio.run(take(os.environ["REDIS_URL"], "taken away", timeout=60)))
    pool.delete("taken away")


def test_asyncio_lock_elsewhere(pool, redis_server):
    assert pool.ping()
    KEPT.append(asyncio.run(take(redis_server.endpoint.url, "elsewhere", timeout=60)))


class Leader:
    lock = None


@pytest.fixture(scope="module")
def leader():
    value = Leader()
    yield value
    value.lock.release()


def test_lock_that_a_fixture_gives_back(pool, leader):
    leader.lock = pool.lock("leader", timeout=60)
    assert leader.lock.acquire()


def test_fixture_still_has_its_lock(pool, leader):
    assert leader.lock.owned()


def test_setting(pool):
    pool.config_set("hash-max-listpack-entries", 99)


def test_set_back(pool):
    assert pool.config_get("hash-max-listpack-entries") != {"hash-max-listpack-entries": "99"}
    pool.config_set("lazyfree-lazy-expire", "yes")
    pool.config_set("lazyfree-lazy-expire", "no")


KEPT = []
"""

POSTGRES = """
import os

import psycopg
import pytest

pytestmark = pytest.mark.service("postgres")


@pytest.fixture(scope="session")
def database():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def outer():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS outer_table (id int)")
        yield connection
        connection.rollback()


def connect():
    KEPT.append(psycopg.connect(os.environ["DATABASE_URL"]))
    return KEPT[-1]


def test_clean(database, outer):
    with database.transaction():
        database.execute("SELECT pg_advisory_xact_lock(7)")
    database.execute("LISTEN short")
    database.execute("UNLISTEN short")
    database.execute("SELECT pg_advisory_lock(8)")
    database.execute("SELECT pg_advisory_unlock(8)")
    assert outer.execute("SELECT 1").fetchone() == (1,)


def test_transaction():
    connect().execute("SELECT 2")  # transaction


def test_advisory_lock(database):
    database.execute("SELECT pg_advisory_lock(42)")


def test_not_locked(database):
    assert database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


def test_subscription():
    connection = connect()
    connection.autocommit = True
    connection.execute("LISTEN forgotten")


def test_setting(database):
    database.execute("ALTER SYSTEM SET work_mem = '7MB'")


def test_setting_of_the_database(database):
    name = database.info.dbname
    database.execute(f'ALTER DATABASE "{name}" SET statement_timeout = 12345')


def test_set_back(database):
    found = database.execute("SELECT count(*) FROM pg_db_role_setting WHERE setdatabase <> 0").fetchone()
    kept = database.execute("SELECT pg_read_file('postgresql.auto.conf')").fetchone()[0]
    assert (found, "work_mem" in kept) == ((0,), False)


KEPT = []
"""


def _told(run: SuiteRun) -> list[tuple[str, str, str]]:
    """Test, kind and text of what was found on the servers, without the connections that a test keeps too."""
    return [
        (event.test_id.removeprefix("test_it.py::"), event.leak.kind, event.leak.what)
        for event in run.leaks
        if event.leak.kind.startswith("service_")
    ]


def _red(run: SuiteRun) -> set[str]:
    return {test_id.removeprefix("test_it.py::") for test_id, outcome in run.outcomes.items() if outcome is not Outcome.PASSED}


def test_what_is_left_open_on_redis_is_found(tmp_path: Path) -> None:
    """Subscriptions, WATCH, MULTI, locks and any changed setting turn their own test red, and are taken away."""
    write_suite(tmp_path, {"test_it.py": REDIS})
    run = run_suite(tmp_path, "-q", timeout_s=120)
    told = [(test, kind) for test, kind, _ in _told(run)]
    assert told == [
        ("test_subscription", "service_subscription"),
        ("test_watch", "service_transaction"),
        ("test_multi", "service_transaction"),
        ("test_lock", "service_lock"),
        ("test_asyncio_lock", "service_lock"),
        ("test_setting", "service_setting"),
    ], run.output
    assert _red(run) == {test for test, _ in told}
    created = [(event.leak.kind, event.leak.created) for event in run.leaks]
    made = {(kind, frame.function) for kind, frame in created if frame is not None}
    assert {("service_subscription", "test_subscription"), ("service_lock", "test_lock"), ("service_lock", "take")} <= made, (
        run.output
    )


def test_what_is_left_open_on_postgres_is_found(tmp_path: Path) -> None:
    """Open transactions, advisory locks, LISTEN and changed settings turn their own test red, and are taken away."""
    write_suite(tmp_path, {"test_it.py": POSTGRES})
    run = run_suite(tmp_path, "-q", timeout_s=120)
    told = [(test, kind) for test, kind, _ in _told(run)]
    assert told == [
        ("test_transaction", "service_transaction"),
        ("test_advisory_lock", "service_lock"),
        ("test_subscription", "service_subscription"),
        ("test_setting", "service_setting"),
        ("test_setting_of_the_database", "service_setting"),
    ], run.output
    assert _red(run) == {test for test, _ in told}
