"""The platform: all parts of one process, started in order, stopped in reverse."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from agent_platform.agents import AgentRegistry, built_in_agents
from agent_platform.bridge import AgentWebSocketBridge
from agent_platform.database import DatabaseSessionManager
from agent_platform.errors import PlatformError, StartupError, UnavailableError
from agent_platform.factory import SHUTDOWN_REASON, ExecutionEngineFactory
from agent_platform.redis_manager import RedisManager
from agent_platform.settings import Settings
from agent_platform.simulator import OAuthSimulator
from agent_platform.tokens import TokenService

CLOSE_SHUTDOWN = 1012
"""WebSocket close code: the server restarts."""

_GOODBYE_TIMEOUT_S = 2.0


class Part(Protocol):
    """What a phase starts and, in reverse, closes."""

    async def start(self) -> None:
        """Open it and prove that it works."""

    async def close(self) -> None:
        """Close it."""


class Platform:
    """Everything that one process holds; nothing of it is module state."""

    def __init__(self, *, settings: Settings, registry: AgentRegistry | None = None) -> None:
        self.settings = settings
        self.registry = registry if registry is not None else built_in_agents()
        self.database = DatabaseSessionManager(settings=settings)
        self.redis = RedisManager(settings=settings)
        self.tokens = TokenService(settings=settings, redis_manager=self.redis)
        self.simulator = OAuthSimulator(settings=settings, tokens=self.tokens, database_session_manager=self.database)
        self.bridge = AgentWebSocketBridge(settings=settings, redis_manager=self.redis, database_session_manager=self.database)
        self.factory = ExecutionEngineFactory(
            websocket_bridge=self.bridge,
            database_session_manager=self.database,
            redis_manager=self.redis,
            agent_registry=self.registry,
            settings=settings,
        )
        self.ready = False
        self.phases: list[str] = []
        """The phases that are started, in order."""
        self.stubborn: tuple[str, ...] = ()
        """Agents that did not end when the platform stopped."""
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Database, Redis, bridge, factory; StartupError names the phase that failed, the earlier ones are closed again."""
        parts: dict[str, Part] = {
            "database": self.database,
            "redis": self.redis,
            "bridge": self.bridge,
            "factory": self.factory,
        }
        async with AsyncExitStack() as stack:
            for phase, part in parts.items():
                await self._start_phase(phase, part.start)
                stack.push_async_callback(self._stop_phase, phase, part.close)
            self._stack = stack.pop_all()
        self.ready = True

    async def drain(self) -> None:
        """Accept nothing more, end every run, let every socket have its last event, then close the sockets."""
        self.ready = False
        self.stubborn = await self.factory.drain() or self.stubborn
        await self.bridge.say_goodbye(CLOSE_SHUTDOWN, SHUTDOWN_REASON, timeout_s=_GOODBYE_TIMEOUT_S)

    async def stop(self) -> None:
        """Drain, then close everything in reverse order; one that fails does not keep the others open."""
        await self.drain()
        await self._stack.aclose()

    async def checks(self) -> dict[str, dict[str, object]]:
        """Whether each service answers, and in how many milliseconds."""
        listener: dict[str, object] = {"ok": self.bridge.healthy, "ms": 0.0}
        return {"database": await _check(self.database.ping), "redis": await _check(self.redis.ping), "listener": listener}

    async def _start_phase(self, phase: str, start: Callable[[], Awaitable[None]]) -> None:
        timeout_s = self.settings.limits.startup_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await start()
        except TimeoutError as error:
            addresses = {"database": self.database.address, "redis": self.redis.address}
            where = addresses.get(phase, "")
            raise StartupError(
                f"startup phase {phase!r}: {where} did not answer within {timeout_s:g} s", hint="check what listens there"
            ) from error
        except PlatformError as error:
            raise StartupError(f"startup phase {phase!r}: {error.message}", hint=error.hint) from error
        self.phases.append(phase)

    async def _stop_phase(self, phase: str, close: Callable[[], Awaitable[None]]) -> None:
        await close()
        self.phases.remove(phase)


async def _check(ping: Callable[[], Awaitable[None]]) -> dict[str, object]:
    began = time.perf_counter()
    try:
        await ping()
    except (UnavailableError, SQLAlchemyError) as error:
        return {"ok": False, "error": str(error)}
    return {"ok": True, "ms": round((time.perf_counter() - began) * 1000, 3)}
