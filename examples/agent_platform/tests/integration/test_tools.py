"""Tools: bracketed by their events, alone with their caller's data, and unable to take a run with them."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from witness import Trace, Witness

from agent_platform.agents import REMEMBER, Agent, AgentRegistry, Job
from agent_platform.errors import ToolFailedError
from agent_platform.testing import LiveServer, Message, create_test_app
from agent_platform.tools import Tool, ToolCall

RESEARCHED = Trace(row="succeeded", state="succeeded", seqs=list(range(1, 11)))


def tool_events(events: list[Message]) -> list[Message]:
    """Those that open or close a call."""
    return [event for event in events if str(event["type"]).startswith("tool_")]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_tool_events_bracket_each_call(live: LiveServer, witness: Witness) -> None:
    """Each call is opened and closed by events that name user, call, tool and result."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        run_id = await client.start("research", topic="spring tides")
        events = await client.events(run_id)
    calls = tool_events(events)
    assert ["tool_executing", "tool_completed"] * 3 == [event["type"] for event in calls]
    assert {ada.user_id} == {event["user_id"] for event in calls}
    opened, closed = calls[::2], calls[1::2]
    assert ["look_up", "remember", "recall"] == [event["payload"]["tool"] for event in opened]
    assert [event["payload"]["call_id"] for event in opened] == [event["payload"]["call_id"] for event in closed]
    assert 3 == len({event["payload"]["call_id"] for event in opened})
    results = [
        {"topic": "spring tides", "words": 2, "runs_so_far": 1},
        {"key": "note"},
        {"value": f"spring tides by {ada.user_id}"},
    ]
    assert ["ok"] * 3 == [event["payload"]["status"] for event in closed]
    assert results == [event["payload"]["result"] for event in closed]
    assert RESEARCHED == await witness.trace(run_id)
    assert events == await witness.events(run_id)


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_tool_sees_only_its_callers_context(tmp_path: Path) -> None:
    """A tool is given its caller's IDs, permissions and memory; another user's note under the same key is not there."""

    async def look_around(call: ToolCall) -> object:
        before = await call.memory.recall("note")
        await call.memory.remember("note", f"kept for {call.context.user_id}")
        return {
            "user_id": call.context.user_id,
            "run_id": call.context.run_id,
            "permissions": sorted(call.context.permissions),
            "before": before,
            "runs": await call.count_runs(),
        }

    async def ask(job: Job) -> object:
        return await job.tools.call("look_around")

    registry = AgentRegistry(Agent(name="asker", run=ask, tools=(Tool(name="look_around", run=look_around),)))
    async with LiveServer(create_test_app(registry=registry, workdir=tmp_path)) as live, Witness(live.settings) as witness:
        for email in ("ada@example.com", "bob@example.com"):
            user = await live.sign_in(email, permissions=["agents:run", "tools:use"])
            async with live.ws(user.token) as client:
                run_id = await client.start("asker")
                events = await client.events(run_id)
            expected = {
                "user_id": user.user_id,
                "run_id": run_id,
                "permissions": ["agents:run", "tools:use"],
                "before": None,
                "runs": 1,
            }
            assert expected == events[-1]["payload"]["result"]
            assert f"kept for {user.user_id}" == await witness.memory(user.user_id, "note")
            assert await witness.trace(run_id) == Trace(row="succeeded", state="succeeded", seqs=[1, 2, 3, 4])


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_concurrent_tools_are_open_at_once(tmp_path: Path) -> None:
    """Two calls of one run are both open before either closes, and each closes with its own result."""
    both_open = asyncio.Barrier(2)

    async def keep(call: ToolCall) -> object:
        await both_open.wait()
        await call.memory.remember(call.text("key"), call.text("key"))
        return call.text("key")

    async def juggle(job: Job) -> object:
        return await asyncio.gather(*(job.tools.call("keep", key=key) for key in ("left", "right")))

    keeper = Tool(name="keep", run=keep, parameters={"key": str})
    registry = AgentRegistry(Agent(name="juggler", run=juggle, tools=(keeper,)))
    async with LiveServer(create_test_app(registry=registry, workdir=tmp_path)) as live, Witness(live.settings) as witness:
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            run_id = await client.start("juggler")
            events = await client.events(run_id)
        calls = tool_events(events)
        assert ["tool_executing"] * 2 + ["tool_completed"] * 2 == [event["type"] for event in calls]
        parameters = {event["payload"]["call_id"]: event["payload"]["parameters"]["key"] for event in calls[:2]}
        results = {event["payload"]["call_id"]: event["payload"]["result"] for event in calls[2:]}
        assert parameters == results
        assert ["left", "right"] == events[-1]["payload"]["result"]
        assert ["left", "right"] == [await witness.memory(ada.user_id, key) for key in ("left", "right")]
        assert events == await witness.events(run_id)
        assert await witness.trace(run_id) == Trace(row="succeeded", state="succeeded", seqs=[1, 2, 3, 4, 5, 6])


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_missing_permission_ends_the_run(live: LiveServer, witness: Witness) -> None:
    """A call without its permission ends the run with an error; the tool did not run."""
    ada = await live.sign_in("ada@example.com", permissions=["agents:run", "tools:use"])
    async with live.ws(ada.token) as client:
        run_id = await client.start("research", topic="tides")
        events = await client.events(run_id)
    end = events[-1]
    assert ("agent_error", "failed") == (end["type"], end["payload"]["status"])
    assert "forbidden: permission 'memory:write' is missing" == end["payload"]["reason"]
    refused = tool_events(events)[-1]
    assert ("remember", "error") == (refused["payload"]["tool"], refused["payload"]["status"])
    assert await witness.memory(ada.user_id, "note") is None
    trace = Trace(row="failed", state="failed", seqs=list(range(1, len(events) + 1)))
    assert trace == await witness.trace(run_id)


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_failing_tool_does_not_end_the_run(tmp_path: Path) -> None:
    """Unknown tool, bad parameters, an exception and a time-out each close their call as an error; the next call works."""

    async def explode(_: ToolCall) -> object:
        raise ValueError("boom")

    async def stall(_: ToolCall) -> object:
        return await asyncio.Event().wait()

    async def stumble(job: Job) -> object:
        messages = []
        for name, parameters in (("unheard_of", {}), ("remember", {"key": 1}), ("explode", {}), ("stall", {})):
            try:
                await job.tools.call(name, **parameters)
            except ToolFailedError as error:
                messages.append(error.message)
        await job.tools.call("remember", key="lesson", value="learnt")
        return messages

    tools = (REMEMBER, Tool(name="explode", run=explode), Tool(name="stall", run=stall, timeout_s=0.05))
    registry = AgentRegistry(Agent(name="stumbler", run=stumble, tools=tools))
    async with LiveServer(create_test_app(registry=registry, workdir=tmp_path)) as live, Witness(live.settings) as witness:
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            run_id = await client.start("stumbler")
            events = await client.events(run_id)
        expected = [
            "tool 'unheard_of' is unknown",
            "tool 'remember' got bad parameters: key is int, expected str; value is missing",
            "tool 'explode' raised ValueError: boom",
            "tool 'stall' took longer than 0.05 s",
        ]
        assert expected == events[-1]["payload"]["result"]
        closed = tool_events(events)[1::2]
        assert ["error"] * 4 + ["ok"] == [event["payload"]["status"] for event in closed]
        assert expected == [event["payload"]["result"]["message"] for event in closed[:4]]
        assert "learnt" == await witness.memory(ada.user_id, "lesson")
        assert await witness.trace(run_id) == Trace(row="succeeded", state="succeeded", seqs=list(range(1, 13)))


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_soak_of_twenty_users(live: LiveServer, witness: Witness) -> None:
    """Twenty users with two runs each at once: all succeed, every engine is closed, nothing is left over."""
    users = [await live.sign_in(f"user{number}@example.com") for number in range(20)]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.ws(user.token)) for user in users]
        pairs = [(client, await client.start("research", topic=f"topic {turn}")) for turn in range(2) for client in clients]
        ends = [await client.events(run_id) for client, run_id in pairs]
        await live.settled()
    assert Counter({"agent_completed": 40}) == Counter(events[-1]["type"] for events in ends)
    factory = live.platform.factory
    assert (40, 40) == (factory.metrics["created"], factory.metrics["closed"])
    assert ((), {}, frozenset()) == (factory.engines, factory.live_runs, live.platform.bridge.open_runs)
    assert 0 == live.platform.database.connections_in_use
    assert 0 == sum([await witness.leases("engines", user.user_id) for user in users])
    assert [[RESEARCHED, RESEARCHED]] * 20 == [await witness.traces(user.user_id) for user in users]
    assert {f"topic {turn} by {user.user_id}" for user in users for turn in range(2)} >= {
        str(await witness.memory(user.user_id, "note")) for user in users
    }
