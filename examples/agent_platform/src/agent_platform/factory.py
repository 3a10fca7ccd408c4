"""The engine factory: gives each user engines on the shared managers, up to the limits, and takes them back."""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from agent_platform.agents import AgentRegistry
from agent_platform.bridge import AgentWebSocketBridge
from agent_platform.context import UserExecutionContext
from agent_platform.database import DatabaseSessionManager
from agent_platform.engine import Capacity, LiveRun, UserExecutionEngine
from agent_platform.errors import DependencyError, NotFoundError, UnavailableError
from agent_platform.leases import Lease
from agent_platform.records import RunStatus, find_run
from agent_platform.redis_manager import RedisManager
from agent_platform.settings import Settings

_LOG = logging.getLogger(__name__)

SHUTDOWN_REASON = "server is shutting down"
_CANCEL_TOPIC = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """An open engine and the slot it takes."""

    engine: UserExecutionEngine
    lease: Lease


class ExecutionEngineFactory:
    """Creates an engine for a user, runs agents in the background, and knows everything that is running here."""

    def __init__(
        self,
        *,
        websocket_bridge: AgentWebSocketBridge | None,
        database_session_manager: DatabaseSessionManager | None,
        redis_manager: RedisManager | None,
        agent_registry: AgentRegistry | None,
        settings: Settings | None,
    ) -> None:
        required = {
            "websocket_bridge": websocket_bridge,
            "database_session_manager": database_session_manager,
            "redis_manager": redis_manager,
            "agent_registry": agent_registry,
            "settings": settings,
        }
        missing = [name for name, part in required.items() if part is None]
        if not (websocket_bridge and database_session_manager and redis_manager and agent_registry and settings):
            raise DependencyError(
                f"ExecutionEngineFactory without {', '.join(missing)}", hint="start these first and pass all of them"
            )
        self._bridge = websocket_bridge
        self._database = database_session_manager
        self._redis = redis_manager
        self._registry = agent_registry
        self._settings = settings
        self._capacity = Capacity(limit=settings.limits.concurrent_runs)
        self._engines: dict[str, _Entry] = {}
        self._drivers: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._accepting = False
        self.metrics: Counter[str] = Counter()
        websocket_bridge.listen(_CANCEL_TOPIC, self._take_cancel)

    @property
    def engines(self) -> tuple[UserExecutionEngine, ...]:
        """The engines that are open."""
        return tuple(entry.engine for entry in self._engines.values())

    @property
    def live_runs(self) -> dict[str, LiveRun]:
        """The runs of this process that are not over, by ID."""
        return {run_id: run for engine in self.engines for run_id, run in engine.live_runs.items()}

    async def start(self) -> None:
        """Take no more agents, accept runs."""
        self._registry.freeze()
        self._sweeper = asyncio.create_task(self._sweep_forever(), name="engine sweeper")
        self._accepting = True

    async def create_for_user(self, context: UserExecutionContext) -> UserExecutionEngine:
        """An engine of the context's user; LimitExceededError when the user has all engines allowed."""
        self._check_accepting()
        lease = await self._redis.leases.acquire("engines", context.user_id, limit=self._settings.limits.engines_per_user)
        if not self._accepting:  # the shutdown came while the slot was taken
            await self._redis.leases.release(lease)
            self._check_accepting()
        engine = UserExecutionEngine(
            context=context,
            websocket_bridge=self._bridge,
            database_session_manager=self._database,
            redis_manager=self._redis,
            agent_registry=self._registry,
            settings=self._settings,
            capacity=self._capacity,
            metrics=self.metrics,
        )
        self._engines[engine.engine_id] = _Entry(engine=engine, lease=lease)
        self.metrics["created"] += 1
        return engine

    @asynccontextmanager
    async def user_execution_scope(self, context: UserExecutionContext) -> AsyncIterator[UserExecutionEngine]:
        """An engine for the length of a block."""
        engine = await self.create_for_user(context)
        try:
            yield engine
        finally:
            await self.close_engine(engine, reason="its scope ended")

    async def submit(self, context: UserExecutionContext, agent: str, agent_input: Mapping[str, object]) -> str:
        """Run an agent in the background on an engine of its own; the run's ID, once the run is stored."""
        self._registry.get(agent)
        engine = await self.create_for_user(context)
        try:
            run = await engine.start(agent, agent_input)
        except BaseException:
            await self.close_engine(engine, reason="its run did not start")
            raise
        driver = asyncio.create_task(self._drive(engine, run), name=f"driver of run {context.run_id}")
        self._drivers.add(driver)
        driver.add_done_callback(self._drivers.discard)
        return context.run_id

    async def cancel(self, *, user_id: str, run_id: str, reason: str = "cancelled by the user") -> RunStatus:
        """Ask this user's run to end, in whichever process it runs; its status when asked."""
        async with self._database.session() as session:
            record = await find_run(session, user_id=user_id, run_id=run_id)
        if record is None:
            raise NotFoundError(f"run {run_id!r} does not exist", hint="name a run that this user started")
        run = self.live_runs.get(run_id)
        if run is not None:
            run.cancel(reason)
        elif not record.status.is_final:
            order = json.dumps({"user_id": user_id, "run_id": run_id, "reason": reason})
            await self._redis.publish(self._redis.key(_CANCEL_TOPIC), order)
        return record.status

    async def close_engine(self, engine: UserExecutionEngine, *, reason: str) -> None:
        """Take the engine from the registry, then end its runs and give its slot back; all errors as one group."""
        entry = self._engines.pop(engine.engine_id, None)
        if entry is None:
            return
        steps: tuple[Callable[[], Awaitable[None]], ...] = (
            lambda: engine.aclose(reason),
            lambda: self._redis.leases.release(entry.lease),
        )
        errors = []
        for step in steps:
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - the other step must run; nothing is swallowed, see below
                errors.append(error)
        self.metrics["closed"] += 1
        if errors:
            self.metrics["close_errors"] += len(errors)
            raise ExceptionGroup(f"engine of user {engine.context.user_id} closed with {len(errors)} error(s)", errors)

    async def settled(self) -> None:
        """Return once no submitted run is left and its engine is closed."""
        while self._drivers:
            await asyncio.wait(tuple(self._drivers))

    async def drain(self) -> tuple[str, ...]:
        """Accept nothing more and end every run in order; the names of agents that would not end within the grace."""
        self._accepting = False
        engines = self.engines
        closings = [asyncio.create_task(self._close_quietly(engine, SHUTDOWN_REASON)) for engine in engines]
        waiting = {*closings, *self._drivers}
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=self._settings.limits.shutdown_grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        stubborn = tuple(task.get_name() for engine in engines for task in engine.abandoned)
        if stubborn:
            _LOG.error("%d agent(s) did not end: %s", len(stubborn), ", ".join(stubborn))
        return stubborn

    async def close(self) -> None:
        """Drain, and stop sweeping."""
        sweeper, self._sweeper = self._sweeper, None
        if sweeper is not None:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
        await self.drain()

    def _check_accepting(self) -> None:
        if not self._accepting:
            raise UnavailableError(SHUTDOWN_REASON, hint="try again in a moment")

    async def _drive(self, engine: UserExecutionEngine, run: LiveRun) -> None:
        if run.task is not None:
            await asyncio.wait({run.task})
        await self._close_quietly(engine, "its run is over")

    async def _close_quietly(self, engine: UserExecutionEngine, reason: str) -> None:
        try:
            await self.close_engine(engine, reason=reason)
        except ExceptionGroup:
            _LOG.exception("an engine was closed with errors; its slot returns when its lease expires")

    async def _sweep_forever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.limits.sweep_s)
            before = time.monotonic() - self._settings.limits.idle_engine_s
            for engine in self.engines:
                if not engine.live_runs and engine.used_at < before:
                    self.metrics["swept"] += 1
                    await self._close_quietly(engine, "it was idle")

    def _take_cancel(self, body: str) -> None:
        order = json.loads(body)
        run = self.live_runs.get(order["run_id"])
        if run is not None and run.context.user_id == order["user_id"]:
            run.cancel(order["reason"])
