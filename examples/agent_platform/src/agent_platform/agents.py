"""Agents: deterministic ones that stand in for language models, and the registry that knows them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from agent_platform.bridge import EventEmitter
from agent_platform.context import UserExecutionContext
from agent_platform.errors import BadRequestError, DependencyError
from agent_platform.events import EventType
from agent_platform.tools import Tool, ToolCall, ToolDispatcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What an agent works with in one run."""

    context: UserExecutionContext
    input: Mapping[str, object]
    tools: ToolDispatcher
    emitter: EventEmitter

    async def think(self, step: int, thought: str) -> None:
        """Tell the user what the agent is about."""
        await self.emitter.emit(EventType.AGENT_THINKING, {"step": step, "thought": thought})

    def text(self, name: str, default: str) -> str:
        """The input ``name`` as text."""
        return str(self.input.get(name, default))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A named piece of work: takes a job, gives a result that fits into JSON."""

    name: str
    run: Callable[[Job], Awaitable[object]]
    tools: tuple[Tool, ...] = ()
    toolbox: Mapping[str, Tool] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "toolbox", {tool.name: tool for tool in self.tools})


class AgentRegistry:
    """The agents of a platform: filled before the start-up, frozen by it."""

    def __init__(self, *agents: Agent) -> None:
        self._agents = {agent.name: agent for agent in agents}
        self._frozen = False

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._agents))

    def register(self, agent: Agent) -> None:
        """Add an agent; DependencyError after the start-up or if the name is taken."""
        if self._frozen:
            raise DependencyError(f"agent {agent.name!r} comes after the start-up", hint="register it before the platform starts")
        if agent.name in self._agents:
            raise DependencyError(f"an agent {agent.name!r} is registered already", hint="give it another name")
        self._agents[agent.name] = agent

    def freeze(self) -> None:
        """Take no more agents; DependencyError if there is none."""
        if not self._agents:
            raise DependencyError("the agent registry is empty", hint="register at least one agent before the platform starts")
        self._frozen = True

    def get(self, name: str) -> Agent:
        """The agent of this name; the error lists the known ones."""
        if name not in self._agents:
            raise BadRequestError(f"agent {name!r} is unknown", hint=f"known: {', '.join(self.names)}")
        return self._agents[name]


def built_in_agents() -> AgentRegistry:
    """A new registry with the agents that every platform has."""
    return AgentRegistry(
        Agent(name="research", run=_research, tools=(LOOK_UP, REMEMBER, RECALL)),
        Agent(name="sleeper", run=_sleep),
        Agent(name="failing", run=_fail),
        Agent(name="admin", run=_administer, tools=(PURGE,)),
    )


async def _look_up(call: ToolCall) -> object:
    topic = call.text("topic")
    return {"topic": topic, "words": len(topic.split()), "runs_so_far": await call.count_runs()}


async def _remember(call: ToolCall) -> object:
    await call.memory.remember(call.text("key"), call.text("value"))
    return {"key": call.text("key")}


async def _recall(call: ToolCall) -> object:
    return {"value": await call.memory.recall(call.text("key"))}


async def _purge(call: ToolCall) -> object:
    return {"purged_for": call.context.user_id}


LOOK_UP = Tool(name="look_up", run=_look_up, parameters={"topic": str})
REMEMBER = Tool(name="remember", run=_remember, parameters={"key": str, "value": str}, permission="memory:write")
RECALL = Tool(name="recall", run=_recall, parameters={"key": str})
PURGE = Tool(name="purge", run=_purge, permission="platform:admin")


async def _research(job: Job) -> object:
    """Look a topic up, note it down in the user's memory, read the note again."""
    topic = job.text("topic", "nothing")
    await job.think(1, f"What is known about {topic}?")
    found = await job.tools.call("look_up", topic=topic)
    await job.think(2, "Worth a note.")
    note = f"{topic} by {job.context.user_id}"
    await job.tools.call("remember", key="note", value=note)
    recalled = await job.tools.call("recall", key="note")
    return {"found": found, "recalled": recalled}


async def _sleep(job: Job) -> object:
    """Work for ``seconds`` without doing anything."""
    seconds = float(job.text("seconds", "3600"))
    await job.think(1, f"Asleep for {seconds:g} s.")
    await asyncio.sleep(seconds)
    return {"slept": seconds}


async def _fail(job: Job) -> object:
    """Raise what the input says."""
    raise RuntimeError(job.text("message", "planned failure"))


async def _administer(job: Job) -> object:
    """Call a tool that only an administrator may call."""
    return await job.tools.call("purge")
