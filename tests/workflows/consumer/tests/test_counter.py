import os
from collections.abc import Iterator

import pytest
import redis


@pytest.fixture(name="client")
def _client() -> Iterator[redis.Redis]:
    with redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as client:
        yield client


def test_a_counter_counts(client: redis.Redis) -> None:
    """A real server counts."""
    client.delete("counter")
    assert [client.incr("counter") for _ in range(3)] == [1, 2, 3]


def test_a_key_expires(client: redis.Redis) -> None:
    """A real server knows the time that is left."""
    client.set("key", "value", px=60_000)
    assert 0 < client.pttl("key") <= 60_000
