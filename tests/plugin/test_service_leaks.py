"""What a test leaves on its own Redis is named, put back, and not found by the next test."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

SUITE = """
import os

import pytest
import redis

pytestmark = pytest.mark.service("redis")


@pytest.fixture
def client():
    with redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as client:
        yield client


@pytest.fixture(scope="module")
def seeded():
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        client.set("seeded", 1)
        client.config_set("timeout", "77")
        yield
        client.delete("seeded")
        client.config_set("timeout", "0")


def test_clean(client):
    client.set("short", 1, ex=60)
    client.set("long", 1)
    client.delete("long")


def test_setting(client):
    client.config_set("maxmemory", "12345678")


def test_key(client):
    assert client.config_get("maxmemory") != {"maxmemory": "12345678"}
    client.set("forgotten", 1)


def test_innocent(client):
    assert client.get("forgotten") is None


def test_of_a_fixture(seeded, client):
    assert client.get("seeded") == "1"


def test_of_the_same_fixture(seeded, client):
    assert client.get("seeded") == "1"
"""


def test_settings_and_keys_left_on_redis_are_found(tmp_path: Path) -> None:
    """A changed setting and a key without expiry turn their test red, and are put back; a module's fixture may do both."""
    write_suite(tmp_path, {"test_it.py": SUITE}, guards='leaks = { service_key = "error" }')
    run = run_suite(tmp_path, "-q", timeout_s=120)
    assert [(event.test_id, event.leak.kind, event.leak.what) for event in run.leaks] == [
        ("test_it.py::test_setting", "service_setting", "redis' setting maxmemory was '0' and is now '12345678'"),
        ("test_it.py::test_key", "service_key", "1 key(s) without expiry left in redis: forgotten"),
    ], run.output
    red = {test_id for test_id, outcome in run.outcomes.items() if outcome is not Outcome.PASSED}
    assert red == {"test_it.py::test_setting", "test_it.py::test_key"}


def test_keys_are_not_looked_for_by_default(tmp_path: Path) -> None:
    """Many suites empty the server before a test and not after it."""
    write_suite(tmp_path, {"test_it.py": SUITE})
    run = run_suite(tmp_path, "-q", "-k", "test_key or innocent or clean", timeout_s=120)
    assert [event.leak.kind for event in run.leaks] == []
