"""What a test leaves on this worker's own Redis: changed settings, and keys that never expire.

One question for each test that declares ``redis``, after its tear-down; the answer is the next test's "before". A test in
which a wider fixture was set up or torn down is not judged: what changed may be the fixture's, by right.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.model.service import Endpoint, ServiceKind
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.ownership import unowned
from ci_tools.pytest_plugin.position import test_id_of
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.selection import services_of

if TYPE_CHECKING:
    from redis import Redis

SETTING, KEY = "service_setting", "service_key"
KINDS = (SETTING, KEY)

_REDIS = ServiceKind.REDIS.value
_TIMEOUT_S = 2.0
_SETTINGS = (
    "maxmemory",
    "maxmemory-policy",
    "maxclients",
    "timeout",
    "notify-keyspace-events",
    "save",
    "appendonly",
    "client-output-buffer-limit",
    "proto-max-bulk-len",
    "slowlog-log-slower-than",
)
"""What tests change to provoke something. All of a server's two hundred settings would cost a millisecond a test."""
_MOST_KEYS = 10_000
_MOST_NAMED = 5
_HINTS = {
    SETTING: "put it back in the fixture's tear-down, or take the redis_server fixture: a server of the test's own",
    KEY: "delete it in the tear-down, or give it an expiry",
}


class ServiceGuard(Guard):
    """Compares the server before and after a test that declares it."""

    begins_in = (Phase.SETUP,)
    ends_in = (Phase.TEARDOWN,)

    def __init__(self, findings: Findings, provisioning: Provisioning, say_asked: Callable[[str], None] | None) -> None:
        self._findings = findings
        self._say_asked = say_asked
        self._provisioning = provisioning
        self._client: Redis | None = None
        self._settings: Mapping[str, str] | None = None
        self._keys: frozenset[str] = frozenset()
        self._is_asked = False
        self._is_shared_change = False

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """The first test that declares the service finds out what was there before it."""
        if phase is not Phase.SETUP:
            return
        self._is_shared_change = False
        endpoint = self._provisioning.counted(ServiceKind.REDIS) if _REDIS in services_of(item) else None
        self._is_asked = endpoint is not None
        if endpoint is not None and self._settings is None:
            self._read(endpoint)

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """What a wider fixture leaves is there for others."""
        if fixturedef.scope != "function":
            self._is_shared_change = True

    def finish_fixture(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """And what it takes back when it ends was its own."""
        if fixturedef.scope != "function":
            self._is_shared_change = True

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down the server is as it was."""
        endpoint = self._provisioning.counted(ServiceKind.REDIS) if phase is Phase.TEARDOWN and self._is_asked else None
        if endpoint is None:
            return error
        settings, keys = self._settings, self._keys
        self._read(endpoint)
        if settings is None or self._settings is None or self._is_shared_change:
            return error
        changed = [name for name, value in settings.items() if self._settings.get(name) != value]
        for name in changed:
            what = f"redis' setting {name} was {settings[name]!r} and is now {self._settings[name]!r}"
            self._add(SETTING, what, item, self._contain(name, settings[name]))
        added = sorted(self._keys - keys)
        if added:
            more = f" and {len(added) - _MOST_NAMED} more" if len(added) > _MOST_NAMED else ""
            what = f"{len(added)} key(s) without expiry left in redis: {', '.join(added[:_MOST_NAMED])}{more}"
            self._add(KEY, what, item, self._contain(*added))
        if changed or added:
            self._settings, self._keys = settings, keys
        return error

    def remove(self) -> None:
        """Close our connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _add(self, kind: str, what: str, item: pytest.Item, note: str) -> None:
        self._findings.add(Leak(kind=kind, what=what, owner=test_id_of(item), hint=_HINTS[kind]), note)

    @unowned()
    def _read(self, endpoint: Endpoint) -> None:
        import redis  # noqa: PLC0415 - only where a test declares it

        self._settings = None
        if self._say_asked is not None:
            self._say_asked(_REDIS)  # what a test did is counted by the server, and this is not the test
        try:
            client = self._client = self._client or _connect(endpoint)
            self._settings = {str(name): str(value) for name, value in client.config_get(*_SETTINGS).items()}
            if self._findings.is_on(KEY):
                self._keys = _lasting_keys(client)
        except redis.RedisError:  # gone with its test, or older than CONFIG GET with several names
            self.remove()

    @unowned()
    def _contain(self, *names: str) -> str:
        import redis  # noqa: PLC0415 - as above

        if self._client is None:
            return "it could not be put back: the server is gone"
        try:
            if names[0] in _SETTINGS:
                self._client.config_set(names[0], names[1])
            else:
                self._client.delete(*names)
        except redis.RedisError as error:
            return f"it could not be put back: {error}"
        return ""


def _connect(endpoint: Endpoint) -> "Redis":
    from redis import Redis  # noqa: PLC0415 - as above

    return Redis(
        host=endpoint.host,
        port=endpoint.port,
        password=endpoint.password or None,
        db=int(endpoint.database or 0),
        unix_socket_path=endpoint.socket_path or None,
        socket_timeout=_TIMEOUT_S,
        decode_responses=True,
    )


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
