"""The witness: what is really in the database and in Redis, read by connections that the platform knows nothing of."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from redis.asyncio import Redis
from sqlalchemy import select

from agent_platform.database import RUN_EVENTS, RUNS, USERS, open_engine
from agent_platform.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a run left: its row's status, its state in Redis, and the seqs of its stored events."""

    row: str | None
    state: str | None
    seqs: list[int]


class Witness:
    """Opens its own engine and its own Redis client."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = f"{settings.redis_namespace}:{settings.environment}"
        self._engine = open_engine(settings)
        self.redis = Redis.from_url(settings.redis_url, protocol=2, decode_responses=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.redis.aclose()
        await self._engine.dispose()

    def key(self, *parts: str) -> str:
        """The full name of a key."""
        return ":".join((self._prefix, *parts))

    async def row(self, run_id: str) -> dict[str, Any] | None:
        """The run's row."""
        async with self._engine.connect() as connection:
            found = (await connection.execute(select(RUNS).where(RUNS.c.id == run_id))).one_or_none()
        return None if found is None else found._asdict()

    async def rows(self, user_id: str) -> list[dict[str, Any]]:
        """The user's rows."""
        async with self._engine.connect() as connection:
            found = await connection.execute(select(RUNS).where(RUNS.c.user_id == user_id))
            return [row._asdict() for row in found]

    async def emails(self) -> set[str]:
        """Everybody's address."""
        async with self._engine.connect() as connection:
            return set((await connection.execute(select(USERS.c.email))).scalars())

    async def events(self, run_id: str) -> list[dict[str, Any]]:
        """The run's stored events."""
        query = select(RUN_EVENTS.c.body).where(RUN_EVENTS.c.run_id == run_id).order_by(RUN_EVENTS.c.seq)
        async with self._engine.connect() as connection:
            return [json.loads(body) for body in (await connection.execute(query)).scalars()]

    async def state(self, run_id: str) -> Mapping[str, str]:
        """The run's live state in Redis."""
        found = await self.redis.hgetall(self.key("run", run_id))
        return {str(name): str(value) for name, value in found.items()}

    async def traces(self, user_id: str) -> list[Trace]:
        """What each of the user's runs left."""
        return [await self.trace(row["id"]) for row in await self.rows(user_id)]

    async def trace(self, run_id: str) -> Trace:
        """What the run left in both."""
        row = await self.row(run_id)
        state = await self.state(run_id)
        seqs = [event["seq"] for event in await self.events(run_id)]
        return Trace(row=None if row is None else row["status"], state=state.get("status"), seqs=seqs)

    async def memory(self, user_id: str, key: str) -> str | None:
        """What the user's agents remember under ``key``."""
        found = await self.redis.get(self.key("memory", user_id, key))
        return None if found is None else str(found)

    async def leases(self, kind: str, user_id: str) -> int:
        """How many slots of the user are taken."""
        return await self.redis.zcard(self.key("lease", kind, user_id))

    @asynccontextmanager
    async def overhear(self, user_id: str) -> AsyncIterator[Callable[[], Awaitable[list[dict[str, Any]]]]]:
        """Everything published on the user's channel since, up to the moment of the call."""
        channel = self.key("events", user_id)
        async with self.redis.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            await pubsub.get_message(timeout=None)  # the confirmation

            async def heard() -> list[dict[str, Any]]:
                mark = f"mark {user_id}"
                await self.redis.publish(channel, mark)
                bodies = []
                while (message := await pubsub.get_message(timeout=None)) is None or message["data"] != mark:
                    bodies += [] if message is None else [json.loads(message["data"])]
                return bodies

            yield heard

    async def keys(self) -> set[str]:
        """Every key of this platform's namespace, without the namespace."""
        return {key.removeprefix(f"{self._prefix}:") async for key in self.redis.scan_iter(f"{self._prefix}:*")}

    async def lives(self) -> dict[str, int]:
        """The remaining life of every key in milliseconds; -1 is for ever."""
        return {key: await self.redis.pttl(self.key(key)) for key in await self.keys()}
