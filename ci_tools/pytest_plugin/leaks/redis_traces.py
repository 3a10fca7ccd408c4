"""What a test leaves on its own Redis: settings, sessions in a transaction or subscribed, keys that never expire.

Two questions in one go: CLIENT LIST, and how often CONFIG SET was called. Only where it was are all settings read.
"""

import contextlib
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ci_tools.model.service import Endpoint
from ci_tools.pytest_plugin.leaks.traces import KEY, SETTING, SUBSCRIPTION, TRANSACTION, Trace

if TYPE_CHECKING:
    from redis import Redis

_TIMEOUT_S = 2.0
_SUSPICIOUS = re.compile(r" (?:sub|psub|ssub|watch)=[1-9]| multi=\d| cmd=watch ")
_SET = re.compile(r"^cmdstat_config\|set:calls=(\d+)", re.MULTILINE)
_OLD_WORDS = ("ziplist", "slave")
_MOST_KEYS = 10_000


class RedisProbe:
    """Asks one Redis. Raises nothing: a server that does not answer has no traces."""

    def __init__(self, endpoint: Endpoint, *, with_keys: bool) -> None:
        self._endpoint = endpoint
        self._with_keys = with_keys
        self._client: Redis | None = None
        self._settings: dict[str, str] = {}
        self._changes = -1

    def look(self) -> Mapping[str, Trace] | None:
        """All traces; None when the server does not answer."""
        import redis  # noqa: PLC0415 - only where a test declares it

        try:
            client = self._client = self._client or connect(self._endpoint)
            with contextlib.closing(client.pipeline(transaction=False)) as pipeline:
                pipeline.execute_command("CLIENT LIST")  # type: ignore[no-untyped-call] # redis-py's
                pipeline.execute_command("INFO", "commandstats")  # type: ignore[no-untyped-call] # as above
                sessions, statistics = pipeline.execute()
            found = self._of_sessions(str(sessions)) if _SUSPICIOUS.search(sessions) else {}
            changes = _SET.search(statistics)
            count = int(changes[1]) if changes else 0
            if not self._settings:
                self._settings, self._changes = _settings(client), count
            elif count != self._changes:
                found.update(self._of_settings(_settings(client)))
            if self._with_keys:
                found.update(self._of_keys(client))
        except redis.RedisError:  # gone with its test, or older than what is asked
            self.close()
            return None
        return found

    def accept(self) -> None:
        """Read the settings anew."""
        self._settings = {}

    def close(self) -> None:
        """Close our connection."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._settings = {}

    def _of_sessions(self, text: str) -> dict[str, Trace]:
        found: dict[str, Trace] = {}
        for line in text.splitlines():
            if not _SUSPICIOUS.search(line):
                continue
            told = dict(part.split("=", 1) for part in line.split() if "=" in part)
            who = f"a session of redis (id {told.get('id')}, {told.get('addr')})"
            port = _port(told.get("addr", ""))
            take = partial(self._end_session, told.get("id", ""))
            channels = sum(int(told.get(name, "0")) for name in ("sub", "psub", "ssub"))
            if channels:
                what = f"{who} is still subscribed to {channels} channel(s) or pattern(s)"
                found[f"{told['id']} sub {channels}"] = Trace(kind=SUBSCRIPTION, what=what, take=take, port=port)
            if "x" in told.get("flags", ""):
                what = f"{who} has an open MULTI with {told['multi']} command(s) waiting"
                found[f"{told['id']} multi"] = Trace(kind=TRANSACTION, what=what, take=take, port=port)
            elif int(told.get("watch", "0")) or told.get("cmd") == "watch":  # before Redis 7.4 only its last command tells
                what = f"{who} still watches keys"
                found[f"{told['id']} watch"] = Trace(kind=TRANSACTION, what=what, take=take, port=port)
        return found

    def _of_settings(self, now: Mapping[str, str]) -> dict[str, Trace]:
        return {
            f"setting {name}={now.get(name)}": Trace(
                kind=SETTING,
                what=f"redis' setting {name} was {value!r} and is now {now.get(name)!r}",
                take=partial(self._set_back, name, value),
            )
            for name, value in self._settings.items()
            if now.get(name) != value and not any(old in name for old in _OLD_WORDS)  # each of those has a name of today too
        }

    def _of_keys(self, client: "Redis") -> dict[str, Trace]:
        return {
            f"key {name}": Trace(kind=KEY, what=f"key without expiry left in redis: {name}", take=partial(self._delete, name))
            for name in _lasting_keys(client)
        }

    def _set_back(self, name: str, value: str, _: object) -> str:
        return self._ask(lambda client: client.config_set(name, value))

    def _delete(self, name: str, _: object) -> str:
        return self._ask(lambda client: client.delete(name))

    def _end_session(self, number: str, _: object) -> str:
        return self._ask(lambda client: client.execute_command("CLIENT", "KILL", "ID", number))

    def _ask(self, question: Any) -> str:  # noqa: ANN401 - a function of a client
        import redis  # noqa: PLC0415 - as above

        if self._client is None:
            return "it could not be put back: the server is gone"
        try:
            question(self._client)
        except redis.RedisError as error:
            return f"it could not be put back: {error}"
        return ""


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() else -1


def _settings(client: "Redis") -> dict[str, str]:
    return {str(name): str(value) for name, value in client.config_get("*").items()}


def connect(endpoint: Endpoint) -> "Redis":
    """A client of our own: CLIENT LIST and INFO answer as text."""
    from redis import Redis  # noqa: PLC0415 - as above
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
    from redis.retry import Retry  # noqa: PLC0415 - as above

    client = Redis(
        host=endpoint.host,
        port=endpoint.port,
        password=endpoint.password or None,
        db=int(endpoint.database or 0),
        unix_socket_path=endpoint.socket_path or None,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),  # what closed our connection is over; a server that is gone is not waited for
        decode_responses=True,
    )
    for name in ("CLIENT LIST", "INFO"):  # as text: nearly always nothing in it is of interest
        client.set_response_callback(name, lambda answer, **_: answer)
    return client


def _lasting_keys(client: "Redis") -> frozenset[str]:
    names: list[str] = []
    for name in client.scan_iter(count=1000):
        names.append(str(name))
        if len(names) >= _MOST_KEYS:
            break
    with contextlib.closing(client.pipeline(transaction=False)) as pipeline:
        for name in names:
            pipeline.pttl(name)
        lives = pipeline.execute()
    return frozenset(name for name, life in zip(names, lives, strict=True) if life == -1)
