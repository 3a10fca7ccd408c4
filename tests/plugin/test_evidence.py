"""What a test declares is measured on the server, with every kind of client; declared and untouched is red."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from suites import outcomes_by_name, properties_by_name, run_suite, write_suite

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import PhaseFinished

REDIS = """
import asyncio
import os

import pytest
import redis
import redis.asyncio

pytestmark = pytest.mark.service("redis")
URL = os.environ.get("REDIS_URL")


@pytest.fixture
def client():
    with redis.Redis.from_url(os.environ["REDIS_URL"], lib_name=None, lib_version=None, protocol=2) as client:
        client.set("a", 1)
        yield client
        client.delete("a")
        client.delete("a")


def test_sync(client):
    for _ in range(3):
        client.get("a")


async def speak():
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], lib_name=None, lib_version=None, protocol=2)
    async with client:
        await client.set("b", "x" * 10_000)


def test_asyncio():
    asyncio.run(speak())


def test_uvloop():
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(speak())


def test_untouched():
    pass


def test_untouched_again():
    pass
"""

POSTGRES = """
import asyncio
import os

import pytest

asyncpg = pytest.importorskip("asyncpg")
psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.service("postgres")


@pytest.fixture(scope="module")
def kept():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SELECT 1")
        yield connection


async def speak():
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    for _ in range(4):
        await connection.execute("SELECT 1")
    await connection.close()


def test_asyncpg():
    asyncio.run(speak())


def test_asyncpg_on_uvloop():
    uvloop = pytest.importorskip("uvloop")
    uvloop.run(speak())


def test_psycopg():
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        for _ in range(3):
            connection.execute("SELECT 1")


def test_connects_and_asks_nothing():
    psycopg.connect(os.environ["DATABASE_URL"]).close()


def test_makes_the_kept_one(kept):
    assert kept.execute("SELECT 1").fetchone() == (1,)


def test_uses_the_kept_one(kept):
    assert kept.execute("SELECT 1, repeat('x', 5000)").fetchone()[0] == 1


def test_leaves_the_kept_one_alone(kept):
    pass


def test_untouched():
    pass
"""


def test_redis_is_counted_by_its_server(tmp_path: Path) -> None:
    """Commands by phase are exact, connections and bytes too, for sync, asyncio and uvloop; an untouched test measures zero."""
    write_suite(tmp_path, {"test_it.py": REDIS})
    run = run_suite(tmp_path, "-q", "-o", "junit_family=xunit2", "--junitxml", str(tmp_path / "junit.xml"))
    expected = dict.fromkeys(("sync", "asyncio", "uvloop"), "passed") | dict.fromkeys(("untouched", "untouched_again"), "failed")
    assert outcomes_by_name(run) == expected, run.output
    told = properties_by_name(run)
    # With the AUTH of a new connection.
    assert told["sync"]["redis_commands"] == "5"
    assert told["sync"]["redis_commands_by_phase"] == "setup 2, call 3, teardown 2"
    assert told["asyncio"]["redis_connections"] == told["uvloop"]["redis_connections"] == "1"
    assert 10_000 < int(told["asyncio"]["redis_bytes"]) < 11_000
    zero = {"redis_commands": "0", "redis_connections": "0", "redis_bytes": "0"}
    assert {name: told["untouched_again"][name] for name in zero} == zero
    assert "declared redis, 0 commands" in run.output
    call = [event for event in run.events if isinstance(event, PhaseFinished) and event.phase is Phase.CALL]
    assert (call[0].counts or {})["redis_commands"] == 3
    case = next(case for case in ET.parse(tmp_path / "junit.xml").iter("testcase") if case.get("name") == "test_sync")  # noqa: S314 - as above
    assert {one.get("name"): one.get("value") for one in case.iter("property")}["redis_commands"] == "5"


@pytest.mark.parametrize(
    ("guards", "is_exact"),
    [("", True), ('[tool.ci-tools.services.postgres.options]\nshared_preload_libraries = ""', False)],
    ids=["our server", "a server that counts no statements"],
)
def test_postgres_is_counted_by_its_server(tmp_path: Path, guards: str, is_exact: bool) -> None:
    """Statements are seen of asyncpg, uvloop and C clients, on new and on kept connections; a bare connect is no statement."""
    write_suite(tmp_path, {"test_it.py": POSTGRES}, guards=guards)
    run = run_suite(tmp_path, "-q", timeout_s=120)
    outcomes = outcomes_by_name(run)
    hollow = {"connects_and_asks_nothing", "leaves_the_kept_one_alone", "untouched"}
    assert {name for name, outcome in outcomes.items() if outcome == "failed"} == hollow, run.output
    assert len(outcomes) == 8
    told = properties_by_name(run)
    expected = {"asyncpg": 4, "asyncpg_on_uvloop": 4, "psycopg": 3, "uses_the_kept_one": 1}
    counted = {name: int(told[name]["postgres_statements"]) for name in expected}
    assert counted == expected if is_exact else all(1 <= counted[name] <= expected[name] for name in expected), counted
    assert told["asyncpg"]["postgres_connections"] == "1"
    assert int(told["uses_the_kept_one"]["postgres_bytes"]) > 5000
    assert told["untouched"]["postgres_statements"] == told["untouched"]["postgres_bytes"] == "0"
    assert "postgres_bytes" not in told["psycopg"]
    assert "declared postgres, 0 statements" in run.output


STOOD_IN = """
from unittest import mock

import fakeredis
import pytest
import redis

pytestmark = pytest.mark.service("redis")


@pytest.fixture
def client():
    return fakeredis.FakeRedis()


def test_fixture(client):
    client.set("a", 1)


@mock.patch("redis.Redis")
def test_patched(kind):
    redis.Redis().get("a")


def test_patched_for_a_while(monkeypatch):
    monkeypatch.setattr(redis, "Redis", mock.MagicMock())
    redis.Redis().get("a")


def test_made_and_dropped():
    client = mock.MagicMock()
    client.get("a")
"""
FAKEREDIS = "class FakeRedis:\n    def set(self, *_): ...\n"


def test_a_stand_in_is_named(tmp_path: Path) -> None:
    """What stood in for a declared service is named with the place where it was seen."""
    write_suite(tmp_path, {"test_it.py": STOOD_IN, "fakeredis.py": FAKEREDIS})
    run = run_suite(tmp_path, "-q")
    assert set(outcomes_by_name(run).values()) == {"failed"}
    for said in (
        "fakeredis.FakeRedis (fixture client) stood in",
        "(a patch of the test) stood in",
        "(redis.Redis is patched) stood in",
        "MagicMock (in the test's text) stood in",
    ):
        assert said in run.output, run.output


MISUSED = """
import socket
import urllib.parse

import pytest


@pytest.mark.service("reddis")
def test_misspelt():
    pass


@pytest.mark.service("reddis")
def test_misspelt_again():
    pass


@pytest.mark.service
def test_nameless():
    pass


@pytest.mark.service("redis")
def test_refused(redis_url):
    url = urllib.parse.urlparse(redis_url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(b"PING\\r\\n")
        assert b"NOAUTH" in connection.recv(100)
"""


def test_where_warnings_are_errors_an_unknown_service_costs_its_own_test_only(tmp_path: Path) -> None:
    """The test is red for its mark, the one behind it is not; whichever database there is is a known name."""
    lines = "import pytest", *(f"@pytest.mark.service({name!r})\ndef test_{name}(): pass" for name in ("reddis", "database"))
    write_suite(tmp_path, {"test_it.py": "\n".join((*lines, "def test_plain(): pass"))})
    run = run_suite(tmp_path, "-q", "-W", "error")
    red = {name.rpartition("::")[2]: outcome for name, outcome in run.outcomes.items()}
    assert red == {"test_reddis": Outcome.ERROR, "test_database": Outcome.PASSED, "test_plain": Outcome.PASSED}, run.output
    assert "declared service 'reddis' is not measured: known are redis" in run.output


def test_a_declaration_that_says_nothing_is_told(tmp_path: Path) -> None:
    """An unknown service is a warning, once; a mark without a name is red, and so is who was refused, with what to look at."""
    write_suite(tmp_path, {"test_it.py": MISUSED})
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {
        "test_it.py::test_misspelt": Outcome.PASSED,
        "test_it.py::test_misspelt_again": Outcome.PASSED,
        "test_it.py::test_nameless": Outcome.ERROR,
        "test_it.py::test_refused": Outcome.FAILED,
    }, run.output
    unknown = "declared service 'reddis' is not measured: known are redis, postgres, http, websocket, process"
    assert run.output.count(unknown) == 1
    assert 'the mark `service` names no service; write @pytest.mark.service("redis")' in run.output
    assert "1 connection(s) asked nothing that it carried out: was the password given?" in run.output


def test_a_folder_declares(tmp_path: Path) -> None:
    """What the configuration says of a folder holds for each test below it, as the mark does, and for no other."""
    files = {
        "tests/real/deep/test_it.py": "import os\n\n\ndef test_it():\n    assert os.environ['REDIS_URL']\n",
        "tests/other/test_other.py": "def test_other():\n    pass\n",
    }
    write_suite(tmp_path, files, guards='[tool.ci-tools.guards.services]\n"tests/real" = ["redis"]')
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {
        "tests/real/deep/test_it.py::test_it": Outcome.FAILED,
        "tests/other/test_other.py::test_other": Outcome.PASSED,
    }, run.output
    assert "declared redis, 0 commands" in run.output
