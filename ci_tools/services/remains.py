"""Remains: what a killed run left in a database that it had leased, told from what anybody wrote there since.

The database was empty when it was leased, and a mark beside the lease says until when the lease stood. A key that was
last used before that time is the killed run's; the server itself says when (``OBJECT IDLETIME``, in whole seconds).
"""

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

_AT_ONCE = 1000
_CLOCK_S = 1.0  # how coarse the server's own clock of uses is


def clear(client: "redis.Redis", until: float) -> str:
    """Remove all keys of the client's database, if every one was last used before ``until`` (the server's time).

    Otherwise nothing is removed. Why the database is not empty now; the empty text when it is. RedisError as the client
    raises it.
    """
    now, _ = client.time()
    keys: list[str] = list(client.scan_iter(count=_AT_ONCE))
    try:
        others = sum(seconds < now - until + _CLOCK_S for seconds in _idle_seconds(client, keys))
    except ResponseError as error:
        return f"a killed run had it, but which keys are its own cannot be told: {error}"
    if others:
        return f"a killed run had it, but {others} keys were used after that"
    for some in _batches(keys):
        client.unlink(*some)
    left = client.dbsize()
    return f"{left} keys came while a killed run's were removed" if left else ""


def _idle_seconds(client: "redis.Redis", keys: list[str]) -> "Iterator[float]":
    """For how long nobody used each key; for ever, for one that is gone meanwhile."""
    for some in _batches(keys):
        with client.pipeline(transaction=False) as pipeline:
            for key in some:
                pipeline.object("idletime", key)
            yield from (float("inf") if seconds is None else seconds for seconds in pipeline.execute())


def _batches(keys: list[str]) -> "Iterator[list[str]]":
    for first in range(0, len(keys), _AT_ONCE):
        yield keys[first : first + _AT_ONCE]
