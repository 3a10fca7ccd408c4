"""The user engine: runs agents for one user, and gives every run exactly one end."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_platform.agents import Agent, AgentRegistry, Job
from agent_platform.bridge import AgentWebSocketBridge, EventEmitter
from agent_platform.context import UserExecutionContext, new_id
from agent_platform.database import DatabaseSessionManager
from agent_platform.errors import BadRequestError, ForbiddenError, LimitExceededError, PlatformError, UnavailableError
from agent_platform.events import EventType, scrub
from agent_platform.records import RunStatus, finish_run, insert_run, mark_running
from agent_platform.redis_manager import RUN_STATE_TTL_S, RedisManager
from agent_platform.settings import Settings
from agent_platform.shielding import uninterrupted
from agent_platform.tools import ToolDispatcher

_LOG = logging.getLogger(__name__)

_STEP_TIMEOUT_S = 5.0
"""How long each of the three steps of a run's end may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    run_id: str
    status: RunStatus
    reason: str = ""
    result: object = None
    duration_ms: float = 0.0


class Capacity:
    """How many runs this process takes at once."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self.taken = 0

    def take(self) -> None:
        """One more run; UnavailableError if that is too many."""
        if self.taken >= self._limit:
            raise UnavailableError(f"all {self._limit} runs of this process are taken", hint="try again in a moment")
        self.taken += 1

    def give_back(self) -> None:
        """One run less."""
        self.taken -= 1


@dataclass(slots=True, kw_only=True)
class LiveRun:
    """A run that is not over: its agent works in one task, its end is watched over by another."""

    context: UserExecutionContext
    agent: Agent
    input: Mapping[str, object]
    emitter: EventEmitter
    stop: asyncio.Future[str]
    began: float = field(default_factory=time.perf_counter)
    task: asyncio.Task[Outcome] | None = None

    def cancel(self, reason: str) -> None:
        """Ask the run to end; the first reason counts."""
        if not self.stop.done():
            self.stop.set_result(reason)

    def outcome(self, status: RunStatus, *, reason: str = "", result: object = None) -> Outcome:
        """How it ended, now."""
        duration_ms = round((time.perf_counter() - self.began) * 1000, 3)
        # What no database takes – NUL and half characters – must not keep a run from its final row.
        storable = reason.encode(errors="replace").decode().replace("\0", "?")
        return Outcome(run_id=self.context.run_id, status=status, reason=storable, result=result, duration_ms=duration_ms)


class UserExecutionEngine:
    """Runs agents for one user on the shared managers; several at once, up to its limit."""

    def __init__(
        self,
        *,
        context: UserExecutionContext,
        websocket_bridge: AgentWebSocketBridge,
        database_session_manager: DatabaseSessionManager,
        redis_manager: RedisManager,
        agent_registry: AgentRegistry,
        settings: Settings,
        capacity: Capacity,
        metrics: Counter[str],
    ) -> None:
        self.engine_id = new_id()
        self.context = context
        self.database_session_manager = database_session_manager
        self.redis_manager = redis_manager
        self.live_runs: dict[str, LiveRun] = {}
        self.abandoned: set[asyncio.Task[object]] = set()
        self.used_at = time.monotonic()
        self._bridge = websocket_bridge
        self._registry = agent_registry
        self._limits = settings.limits
        self._capacity = capacity
        self._metrics = metrics
        self._own_context_used = False
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self, agent: str, agent_input: Mapping[str, object], *, context: UserExecutionContext | None = None) -> Outcome:
        """Run an agent to its end. Cancelling the caller cancels the run, which still ends in order."""
        run = await self.start(agent, agent_input, context=context)
        assert run.task is not None
        try:
            return await asyncio.shield(run.task)
        except asyncio.CancelledError:
            run.cancel("the caller went away")
            await asyncio.wait({run.task})
            raise

    async def start(
        self, agent: str, agent_input: Mapping[str, object], *, context: UserExecutionContext | None = None
    ) -> LiveRun:
        """Store a run as queued and set it going. Nothing is awaited after its task exists."""
        context = self._own_or(context)
        chosen = self._registry.get(agent)
        if self._closed:
            raise UnavailableError("the engine is closed", hint="create another one")
        if context.run_id in self._bridge.open_runs:
            raise BadRequestError(f"run {context.run_id!r} is under way already", hint="give each run an ID of its own")
        if len(self.live_runs) >= self._limits.agents_per_engine:
            raise LimitExceededError(f"all {self._limits.agents_per_engine} agents of this engine run", hint="wait for one")
        self._capacity.take()
        run = LiveRun(
            context=context,
            agent=chosen,
            input=agent_input,
            emitter=self._bridge.emitter_for(context, agent),
            stop=asyncio.get_running_loop().create_future(),
        )
        self.live_runs[context.run_id] = run
        self._idle.clear()
        try:
            async with self.database_session_manager.session() as session:
                await insert_run(session, context, agent=agent, agent_input=agent_input)
        except BaseException:
            self._forget(run)
            raise
        run.task = asyncio.create_task(self._supervise(run), name=f"run {agent} {context.run_id}")
        return run

    async def aclose(self, reason: str) -> None:
        """Cancel what runs, and what is about to, and wait for its end."""
        self._closed = True
        for run in tuple(self.live_runs.values()):
            run.cancel(reason)
        await self._idle.wait()

    def _own_or(self, context: UserExecutionContext | None) -> UserExecutionContext:
        if context is not None:
            if context.user_id != self.context.user_id:
                raise ForbiddenError("the context belongs to another user", hint="create an engine for that user")
            return context
        if not self._own_context_used:
            self._own_context_used = True
            return self.context
        return self.context.next_run()

    def _forget(self, run: LiveRun) -> None:
        self.live_runs.pop(run.context.run_id, None)
        self._bridge.release(run.context.run_id)
        self._capacity.give_back()
        self.used_at = time.monotonic()
        if not self.live_runs:
            self._idle.set()

    async def _supervise(self, run: LiveRun) -> Outcome:
        """The run's frame: whatever the agent does, one final row, one terminal event, one final state."""
        work = asyncio.create_task(self._work(run), name=f"agent {run.agent.name} {run.context.run_id}")
        try:
            try:
                either: set[asyncio.Future[Any]] = {work, run.stop}
                await asyncio.wait(either, timeout=self._limits.run_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                run.cancel("the run's task was cancelled")
            outcome = await uninterrupted(self._end(run, work), grace_s=self._limits.cancel_grace_s + 3 * _STEP_TIMEOUT_S)
        finally:
            run.stop.cancel()
            self._forget(run)
        self._metrics[outcome.status] += 1
        return outcome

    async def _work(self, run: LiveRun) -> object:
        context, redis = run.context, self.redis_manager
        async with self.database_session_manager.session() as session:
            await mark_running(session, user_id=context.user_id, run_id=context.run_id)
        await run.emitter.emit(EventType.AGENT_STARTED, {"input": run.input})
        await self._attempt("state", lambda: self._put_state(run, RunStatus.RUNNING))
        tools = ToolDispatcher(
            context=context,
            emitter=run.emitter,
            redis_manager=redis,
            database_session_manager=self.database_session_manager,
            tools=run.agent.toolbox,
            timeout_s=self._limits.tool_timeout_s,
        )
        return await run.agent.run(Job(context=context, input=run.input, tools=tools, emitter=run.emitter))

    async def _end(self, run: LiveRun, work: asyncio.Task[object]) -> Outcome:
        outcome = await self._settle(run, work)
        row_and_state = (
            self._attempt("row", lambda: self._finish_row(run, outcome)),
            self._attempt("state", lambda: self._put_state(run, outcome.status)),
        )
        await asyncio.gather(*row_and_state)  # before the event: who has seen the end finds it in both
        await self._attempt("event", lambda: self._emit_end(run, outcome))
        return outcome

    async def _settle(self, run: LiveRun, work: asyncio.Task[object]) -> Outcome:
        if work.done():
            return _outcome_of(run, work)
        stopped = run.stop.done()
        reason = run.stop.result() if stopped else f"longer than {self._limits.run_timeout_s:g} s"
        work.cancel()
        await asyncio.wait({work}, timeout=self._limits.cancel_grace_s)
        if not work.done():
            _LOG.error("agent %r of run %s ignores its cancellation", run.agent.name, run.context.run_id)
            self._metrics["abandoned"] += 1
            self.abandoned.add(work)
            work.add_done_callback(self._found_again)
        elif not work.cancelled():
            work.exception()  # retrieved: what a cancelled agent raises is no news
        return run.outcome(RunStatus.CANCELLED if stopped else RunStatus.TIMED_OUT, reason=reason)

    def _found_again(self, work: asyncio.Task[object]) -> None:
        self.abandoned.discard(work)
        if not work.cancelled():
            work.exception()

    async def _attempt(self, step: str, action: Callable[[], Awaitable[None]]) -> None:
        """One independent step: its failure is counted and said, and does not stop the others."""
        try:
            async with asyncio.timeout(_STEP_TIMEOUT_S):
                await action()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the other steps must run
            self._metrics[f"failed_{step}"] += 1
            _LOG.exception("the %s of a run was not written (%s)", step, type(error).__name__)

    async def _finish_row(self, run: LiveRun, outcome: Outcome) -> None:
        async with self.database_session_manager.session() as session:
            await finish_run(
                session,
                user_id=run.context.user_id,
                run_id=outcome.run_id,
                status=outcome.status,
                reason=outcome.reason,
                result=outcome.result,
            )

    async def _put_state(self, run: LiveRun, status: RunStatus) -> None:
        state = {"user_id": run.context.user_id, "agent": run.agent.name, "status": str(status), "engine_id": self.engine_id}
        await self.redis_manager.put_hash(self.redis_manager.key("run", run.context.run_id), state, ttl_s=RUN_STATE_TTL_S)

    async def _emit_end(self, run: LiveRun, outcome: Outcome) -> None:
        payload: dict[str, object] = {"status": outcome.status, "duration_ms": outcome.duration_ms}
        if outcome.status is RunStatus.SUCCEEDED:
            await run.emitter.end(EventType.AGENT_COMPLETED, {**payload, "result": outcome.result}, agent_input=run.input)
        else:
            await run.emitter.end(EventType.AGENT_ERROR, {**payload, "reason": outcome.reason}, agent_input=run.input)


def _outcome_of(run: LiveRun, work: asyncio.Task[object]) -> Outcome:
    if work.cancelled():
        return run.outcome(RunStatus.CANCELLED, reason="the agent was cancelled")
    match work.exception():
        case None:
            return run.outcome(RunStatus.SUCCEEDED, result=scrub(work.result()))
        case PlatformError() as error:
            return run.outcome(RunStatus.FAILED, reason=f"{error.code}: {error.message}")
        case error:
            return run.outcome(RunStatus.FAILED, reason=f"{type(error).__name__}: {error}")
