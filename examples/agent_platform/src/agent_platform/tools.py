"""Tools: what an agent may do besides thinking, one bracketed call at a time, with its caller's data only."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from agent_platform.bridge import EventEmitter
from agent_platform.context import UserExecutionContext, new_id
from agent_platform.database import DatabaseSessionManager
from agent_platform.errors import ForbiddenError, PlatformError, ToolFailedError
from agent_platform.events import EventType
from agent_platform.records import count_runs
from agent_platform.redis_manager import MEMORY_TTL_S, RedisManager


class UserMemory:
    """What this user's agents remember, for ten minutes."""

    def __init__(self, *, context: UserExecutionContext, redis_manager: RedisManager) -> None:
        self._user_id = context.user_id
        self._redis = redis_manager

    async def remember(self, key: str, value: str, *, ttl_s: float = MEMORY_TTL_S) -> None:
        """Keep ``value`` under ``key``."""
        await self._redis.put(self._key(key), value, ttl_s=ttl_s)

    async def recall(self, key: str) -> str | None:
        """What was kept under ``key``; None if nothing was or its time is over."""
        return await self._redis.get(self._key(key))

    def _key(self, key: str) -> str:
        return self._redis.key("memory", self._user_id, key)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """What a tool gets to see: its caller's context, parameters, memory and history, and nobody else's."""

    call_id: str
    context: UserExecutionContext
    parameters: Mapping[str, object]
    memory: UserMemory
    count_runs: Callable[[], Awaitable[int]]

    def text(self, name: str) -> str:
        """The parameter ``name``, which the dispatcher checked to be a string."""
        return str(self.parameters[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A named ability: the types of its parameters, the permission it demands and its longest time in seconds."""

    name: str
    run: Callable[[ToolCall], Awaitable[object]]
    parameters: Mapping[str, type] = field(default_factory=dict)
    permission: str = "tools:use"
    timeout_s: float | None = None


class ToolDispatcher:
    """Calls the tools of one run; each call is bracketed by its two events, however it ends."""

    def __init__(
        self,
        *,
        context: UserExecutionContext,
        emitter: EventEmitter,
        redis_manager: RedisManager,
        database_session_manager: DatabaseSessionManager,
        tools: Mapping[str, Tool],
        timeout_s: float,
    ) -> None:
        self._context = context
        self._emitter = emitter
        self._database = database_session_manager
        self._tools = tools
        self._timeout_s = timeout_s
        self._memory = UserMemory(context=context, redis_manager=redis_manager)

    async def call(self, name: str, /, **parameters: object) -> object:
        """The tool's result. ToolFailedError if the call failed: the agent may go on. ForbiddenError ends the run."""
        call_id = new_id()
        began = time.perf_counter()
        await self._emitter.emit(EventType.TOOL_EXECUTING, {"call_id": call_id, "tool": name, "parameters": parameters})
        status: str = "error"
        result: object = "cancelled"
        try:
            result = await self._run(name, call_id, parameters)
            status = "ok"
        except PlatformError as error:
            result = error.body()
            raise
        finally:
            duration_ms = _milliseconds_since(began)
            closing = {"call_id": call_id, "tool": name, "status": status, "result": result, "duration_ms": duration_ms}
            await self._emitter.emit(EventType.TOOL_COMPLETED, closing)
        return result

    async def _run(self, name: str, call_id: str, parameters: Mapping[str, object]) -> object:
        tool = self._tools.get(name)
        if tool is None:
            known = ", ".join(sorted(self._tools)) or "none"
            raise ToolFailedError(f"tool {name!r} is unknown", hint=f"this agent has: {known}")
        self._context.require(tool.permission)
        _check_parameters(tool, parameters)
        call = ToolCall(
            call_id=call_id, context=self._context, parameters=parameters, memory=self._memory, count_runs=self._count_runs
        )
        timeout_s = tool.timeout_s or self._timeout_s
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await tool.run(call)
        except ForbiddenError:
            raise
        except TimeoutError as error:
            what = f"took longer than {timeout_s:g} s" if limit.expired() else "raised TimeoutError"
            raise ToolFailedError(f"tool {name!r} {what}", hint="give it more time, or less to do at once") from error
        except Exception as error:
            raise ToolFailedError(
                f"tool {name!r} raised {type(error).__name__}: {error}", hint="mend the tool, or its input"
            ) from error

    async def _count_runs(self) -> int:
        async with self._database.session() as session:
            return await count_runs(session, user_id=self._context.user_id)


def _check_parameters(tool: Tool, parameters: Mapping[str, object]) -> None:
    wrong = [
        f"{name} is {type(parameters[name]).__name__}, expected {kind.__name__}" if name in parameters else f"{name} is missing"
        for name, kind in tool.parameters.items()
        if not isinstance(parameters.get(name), kind)
    ]
    wrong += [f"{name} is not a parameter" for name in parameters if name not in tool.parameters]
    if wrong:
        raise ToolFailedError(
            f"tool {tool.name!r} got bad parameters: {'; '.join(wrong)}",
            hint=f"it takes: {', '.join(tool.parameters) or 'nothing'}",
        )


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)
