"""Leases: a user's limited slots, counted over all processes, that return by themselves when a process dies."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from agent_platform.context import new_id
from agent_platform.errors import LimitExceededError, PlatformError

_LOG = logging.getLogger(__name__)

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
_ACQUIRE = _NOW + (
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now) "
    "if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end "
    "redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1]) redis.call('PEXPIRE', KEYS[1], ARGV[3]) return 1"
)
_RENEW = _NOW + "redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1]) return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_COUNT = _NOW + "return redis.call('ZCOUNT', KEYS[1], now, '+inf')"


class Command(Protocol):
    """Sends one command to Redis."""

    async def __call__(self, name: str, *arguments: str | float) -> object:
        """The answer; UnavailableError if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One slot: the sorted set it stands in and its member there."""

    key: str
    member: str


class LeaseRoster:
    """The leases of this process. All times are the Redis server's; the script takes a slot in one step."""

    def __init__(self, *, command: Command, key: Callable[..., str], life_s: float) -> None:
        self._command = command
        self._key = key
        self._life_s = life_s
        self._held: set[Lease] = set()
        self._renewal: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Renew what is held, each third of a lease's life."""
        self._renewal = asyncio.create_task(self._renew_forever(), name="lease renewal")

    async def close(self) -> None:
        """Stop renewing; what is still held expires."""
        renewal, self._renewal = self._renewal, None
        self._held.clear()
        if renewal is not None:
            renewal.cancel()
            with suppress(asyncio.CancelledError):
                await renewal

    async def acquire(self, kind: str, user_id: str, *, limit: int) -> Lease:
        """Take one of the user's ``limit`` slots; LimitExceededError when all are taken."""
        lease = Lease(key=self._key("lease", kind, user_id), member=new_id())
        if not await self._command("EVAL", _ACQUIRE, 1, lease.key, lease.member, limit, self._life_ms):
            raise LimitExceededError(f"all {limit} {kind} of this user are in use", hint="end one, then try again")
        self._held.add(lease)
        return lease

    async def release(self, lease: Lease) -> None:
        """Give the slot back; if Redis does not answer it returns when the lease expires."""
        self._held.discard(lease)
        await self._command("ZREM", lease.key, lease.member)

    async def count(self, kind: str, user_id: str) -> int:
        """How many of the user's slots are taken, over all processes."""
        return int(str(await self._command("EVAL", _COUNT, 1, self._key("lease", kind, user_id))))

    @property
    def _life_ms(self) -> int:
        return round(self._life_s * 1000)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._life_s / 3)
            for lease in tuple(self._held):
                try:
                    await self._command("EVAL", _RENEW, 1, lease.key, lease.member, self._life_ms)
                except PlatformError as error:
                    _LOG.warning("a lease was not renewed: %s", error)
                    break
                if lease not in self._held:  # released while it was being renewed
                    with suppress(PlatformError):
                        await self.release(lease)
