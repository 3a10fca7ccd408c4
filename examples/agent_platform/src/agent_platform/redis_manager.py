"""Redis: every command of the platform goes through here, fails with a typed error and leaves no key without a TTL."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from agent_platform.errors import DependencyError, UnavailableError
from agent_platform.leases import LeaseRoster
from agent_platform.settings import Settings

RUN_STATE_TTL_S = 3600.0
MEMORY_TTL_S = 600.0

_CONNECTIONS = 16
_COMMAND_TIMEOUT_S = 2.0
_CLOSE_TIMEOUT_S = 1.0
_WRITE_HASH = "redis.call('HSET', KEYS[1], unpack(ARGV, 2)) return redis.call('PEXPIRE', KEYS[1], ARGV[1])"


class RedisManager:
    """A client bound to the event loop it was started on. All keys and channels begin with namespace and environment."""

    def __init__(self, *, settings: Settings) -> None:
        self._url = settings.redis_url
        self._prefix = f"{settings.redis_namespace}:{settings.environment}"
        self._client: Redis | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.leases = LeaseRoster(command=self.command, key=self.key, life_s=settings.limits.lease_s)

    @property
    def address(self) -> str:
        """Host and port, for messages."""
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port or 6379}"

    def key(self, *parts: str) -> str:
        """The full name of a key or channel."""
        return ":".join((self._prefix, *parts))

    async def start(self) -> None:
        """Connect and PING; UnavailableError if no Redis answers."""
        self._loop = asyncio.get_running_loop()
        self._client = self._open_client(retries=1)
        try:
            await self.ping()
        except BaseException:
            await self.close()
            raise
        self.leases.start()

    async def close(self) -> None:
        """Close every connection; never waits long for a server that is gone."""
        await self.leases.close()
        client, self._client = self._client, None
        if client is not None:
            await _close_client(client)

    async def ping(self) -> None:
        """Ask Redis for an answer; UnavailableError if there is none."""
        await self.command("PING")

    async def get(self, key: str) -> str | None:
        """The value of ``key``, None only if Redis says that there is none."""
        value = await self.command("GET", key)
        return None if value is None else str(value)

    async def put(self, key: str, value: str, *, ttl_s: float) -> None:
        """Set ``key`` for ``ttl_s`` seconds."""
        await self.command("SET", key, value, "PX", _milliseconds(ttl_s))

    async def put_hash(self, key: str, values: Mapping[str, str], *, ttl_s: float) -> None:
        """Set fields of the hash ``key`` and renew its life, in one step."""
        fields = [part for pair in values.items() for part in pair]
        await self.command("EVAL", _WRITE_HASH, 1, key, _milliseconds(ttl_s), *fields)

    async def get_hash(self, key: str) -> dict[str, str]:
        """The fields of the hash ``key``; empty if there is none."""
        found = await self.command("HGETALL", key)
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    async def publish(self, channel: str, body: str) -> None:
        """Send ``body`` to whoever listens on ``channel``."""
        await self.command("PUBLISH", channel, body)

    async def command(self, name: str, *arguments: str | float) -> object:
        """One command's answer; UnavailableError on any failure, never a silent None."""
        client = self._client
        if client is None or asyncio.get_running_loop() is not self._loop:
            state = "is not started" if client is None else "belongs to another event loop"
            raise DependencyError(f"RedisManager {state}", hint="start() one on the loop that uses it")
        try:
            # Not redis-py's socket_timeout: it uses asyncio.wait_for, which on Python 3.11 can swallow a cancellation.
            async with asyncio.timeout(_COMMAND_TIMEOUT_S):
                return await client.execute_command(name, *arguments)  # type: ignore[no-untyped-call] # redis-py leaves it untyped
        except (RedisError, OSError) as error:
            raise self._unavailable(error) from error

    @asynccontextmanager
    async def open_pubsub(self) -> AsyncIterator[PubSub]:
        """A subscriber on a connection of its own that does not reconnect by itself: a lost one raises."""
        client = self._open_client(retries=0)
        pubsub = client.pubsub()
        try:
            yield pubsub
        finally:
            with suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):  # redis-py #3941: closing a subscriber can hang
                    await pubsub.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it untyped
            await _close_client(client)

    def _open_client(self, *, retries: int) -> Redis:
        pool = BlockingConnectionPool.from_url(
            self._url,
            max_connections=_CONNECTIONS,
            timeout=_COMMAND_TIMEOUT_S,
            socket_timeout=None,
            socket_connect_timeout=_COMMAND_TIMEOUT_S,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), retries),
            protocol=2,
            decode_responses=True,
        )
        return Redis.from_pool(pool)

    def _unavailable(self, error: Exception) -> UnavailableError:
        what = f"redis at {self.address} did not answer ({type(error).__name__}: {error})"
        return UnavailableError(what, hint="check that it runs and that REDIS_URL is right")


async def _close_client(client: Redis) -> None:
    with suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await client.aclose()


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
