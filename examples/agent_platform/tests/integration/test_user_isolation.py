"""Users: what one of them does is seen, read and changed by nobody else."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from witness import Trace, Witness

from agent_platform.agents import Agent, Job, built_in_agents
from agent_platform.context import UserExecutionContext
from agent_platform.errors import ForbiddenError, InvalidContextError
from agent_platform.records import RunStatus, find_run, insert_run
from agent_platform.simulator import GRANTABLE, SignedIn
from agent_platform.testing import DEADLINE_S, LiveServer, create_test_app
from agent_platform.tools import Tool, ToolCall, UserMemory

RESEARCH_EVENTS = 10
"""started, thinking twice, three times (executing, completed), completed."""

RESEARCHED = Trace(row="succeeded", state="succeeded", seqs=list(range(1, RESEARCH_EVENTS + 1)))


def context_of(user: SignedIn) -> UserExecutionContext:
    """A context for one run of this user."""
    return UserExecutionContext(user_id=user.user_id, permissions=GRANTABLE)


@pytest.mark.service("redis", "database", "http")
async def test_each_user_has_an_engine_and_a_context_of_their_own(live: LiveServer, witness: Witness) -> None:
    """Two users' engines share no object but the managers, and each writes under its own user."""
    users = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
    engines = [await live.platform.factory.create_for_user(context_of(user)) for user in users]
    assert engines[0] is not engines[1]
    assert engines[0].context is not engines[1].context
    assert engines[0].live_runs is not engines[1].live_runs
    assert [user.user_id for user in users] == [engine.context.user_id for engine in engines]
    assert [1, 1] == [await witness.leases("engines", user.user_id) for user in users]
    outcomes = await asyncio.gather(*(engine.run("research", {"topic": "tides"}) for engine in engines))
    for user, engine, outcome in zip(users, engines, outcomes, strict=True):
        await live.platform.factory.close_engine(engine, reason="the test is over")
        row = await witness.row(outcome.run_id)
        assert row is not None
        assert user.user_id == row["user_id"]
        assert user.user_id == (await witness.state(outcome.run_id))["user_id"]
        assert await witness.trace(outcome.run_id) == RESEARCHED


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_five_users_at_once_see_and_leave_nothing_foreign(live: LiveServer, witness: Witness) -> None:
    """Every frame, row and key that five concurrent users cause belongs to the one who caused it."""
    users = [await live.sign_in(f"user{number}@example.com") for number in range(5)]
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.ws(user.token)) for user in users]
        starts = [client.start("research", topic=user.email) for client, user in zip(clients, users, strict=True)]
        runs = await asyncio.gather(*starts)
        await asyncio.gather(*(client.events(run_id) for client, run_id in zip(clients, runs, strict=True)))
    await live.settled()
    for user, client, run_id in zip(users, clients, runs, strict=True):
        frames = [message for message in client.received if "seq" in message]
        assert RESEARCH_EVENTS == len(frames)
        assert {(user.user_id, run_id)} == {(frame["user_id"], frame["run_id"]) for frame in frames}
        assert [run_id] == [row["id"] for row in await witness.rows(user.user_id)]
        assert await witness.trace(run_id) == RESEARCHED
        assert f"{user.email} by {user.user_id}" == await witness.memory(user.user_id, "note")
    keys = {f"run:{run_id}" for run_id in runs} | {f"memory:{user.user_id}:note" for user in users}
    assert keys == {key for key in await witness.keys() if not key.startswith("lease:")}


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_events_reach_only_their_user(live: LiveServer, witness: Witness) -> None:
    """A second user who is connected all the time gets no frame of the first one's run, nor does that user's channel."""
    ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
    async with (
        live.ws(ada.token) as adas,
        live.ws(bob.token) as bobs,
        witness.overhear(ada.user_id) as adas_channel,
        witness.overhear(bob.user_id) as bobs_channel,
    ):
        run_id = await adas.start("research", topic="tides")
        events = await adas.events(run_id)
        await bobs.send({"type": "ping"})
        await bobs.next("pong")
        assert events == await adas_channel()
        assert [] == await bobs_channel()
    assert RESEARCH_EVENTS == len(events)
    assert {ada.user_id} == {event["user_id"] for event in events}
    assert ["connection_ready", "pong"] == [message["type"] for message in bobs.received]
    assert await witness.trace(run_id) == RESEARCHED
    assert ada.user_id == (await witness.state(run_id))["user_id"]


@pytest.mark.service("redis", "database", "http")
async def test_memory_is_private_and_ends_with_its_time(live: LiveServer, witness: Witness) -> None:
    """What one user's agents remember is not there for another user, and for nobody after its TTL."""
    ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
    async with live.platform.factory.user_execution_scope(context_of(ada)) as engine:
        outcome = await engine.run("research", {"topic": "tides"})
    memories = [UserMemory(context=context_of(user), redis_manager=live.platform.redis) for user in (ada, bob)]
    assert f"tides by {ada.user_id}" == await memories[0].recall("note")
    assert await memories[1].recall("note") is None
    assert f"tides by {ada.user_id}" == await witness.memory(ada.user_id, "note")
    assert await witness.memory(bob.user_id, "note") is None
    await memories[0].remember("brief", "gone soon", ttl_s=0.2)
    assert "gone soon" == await memories[0].recall("brief")
    async with asyncio.timeout(DEADLINE_S):
        while await memories[0].recall("brief") is not None:  # Redis ends it; each look is one answer of Redis
            pass
    assert await witness.memory(ada.user_id, "brief") is None
    assert await witness.trace(outcome.run_id) == RESEARCHED


@pytest.mark.service("redis", "database", "http")
async def test_sessions_show_only_what_is_committed(live: LiveServer, witness: Witness) -> None:
    """One user's uncommitted work is invisible to another session, and a failed unit of work leaves nothing."""
    ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
    kept, lost = context_of(ada), context_of(ada)
    async with live.platform.database.session() as adas:
        await insert_run(adas, kept, agent="research", agent_input={})
        async with live.platform.database.session() as bobs:
            for user in (ada, bob):
                assert await find_run(bobs, user_id=user.user_id, run_id=kept.run_id) is None
        assert await witness.row(kept.run_id) is None
    row = await witness.row(kept.run_id)
    assert row is not None
    assert ada.user_id == row["user_id"]
    with pytest.raises(RuntimeError, match="half way"):  # noqa: PT012 - the block is the unit of work
        async with live.platform.database.session() as adas:
            await insert_run(adas, lost, agent="research", agent_input={})
            raise RuntimeError("half way")
    assert await witness.row(lost.run_id) is None
    assert 0 == live.platform.database.connections_in_use
    async with live.platform.factory.user_execution_scope(context_of(bob)) as engine:
        outcome = await engine.run("research", {"topic": "tides"})
    assert await witness.trace(outcome.run_id) == RESEARCHED


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_tools_of_two_users_do_not_mix(tmp_path: Path) -> None:
    """Two users' calls of the same tool, both inside it at once, use each their own memory."""
    both_inside = asyncio.Barrier(2)

    async def swap(call: ToolCall) -> object:
        await both_inside.wait()
        await call.memory.remember("place", call.text("value"))
        await both_inside.wait()
        return {"user": call.context.user_id, "recalled": await call.memory.recall("place")}

    async def visit(job: Job) -> object:
        return await job.tools.call("swap", value=job.text("value", ""))

    registry = built_in_agents()
    registry.register(Agent(name="visitor", run=visit, tools=(Tool(name="swap", run=swap, parameters={"value": str}),)))
    async with LiveServer(create_test_app(registry=registry, workdir=tmp_path)) as live, Witness(live.settings) as witness:
        users = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
        async with live.ws(users[0].token) as adas, live.ws(users[1].token) as bobs:
            clients = (adas, bobs)
            runs = [await client.start("visitor", value=user.email) for client, user in zip(clients, users, strict=True)]
            ends = [(await client.events(run_id))[-1] for client, run_id in zip(clients, runs, strict=True)]
        for user, run_id, end in zip(users, runs, ends, strict=True):
            expected = {"user": user.user_id, "recalled": user.email}
            assert expected == end["payload"]["result"]
            assert user.email == await witness.memory(user.user_id, "place")
            assert await witness.trace(run_id) == Trace(row="succeeded", state="succeeded", seqs=[1, 2, 3, 4])


@pytest.mark.service("redis", "database", "http")
async def test_a_closed_engine_leaves_nothing_of_its_user(live: LiveServer, witness: Witness) -> None:
    """Closing an engine ends its run in order and removes it from registry, bridge and leases."""
    ada = await live.sign_in("ada@example.com")
    engine = await live.platform.factory.create_for_user(context_of(ada))
    run = await engine.start("sleeper", {})
    assert [engine] == list(live.platform.factory.engines)
    assert {run.context.run_id} == live.platform.bridge.open_runs
    assert 1 == await witness.leases("engines", ada.user_id)
    await live.platform.factory.close_engine(engine, reason="the user left")
    assert [] == list(live.platform.factory.engines)
    assert set() == live.platform.bridge.open_runs
    assert {} == engine.live_runs
    assert 0 == await witness.leases("engines", ada.user_id)
    assert {f"run:{run.context.run_id}"} == await witness.keys()
    row = await witness.row(run.context.run_id)
    assert row is not None
    assert ("cancelled", "the user left") == (row["status"], row["reason"])
    assert "cancelled" == (await witness.state(run.context.run_id))["status"]
    terminal = [event for event in await witness.events(run.context.run_id) if event["type"] == "agent_error"]
    assert ["the user left"] == [event["payload"]["reason"] for event in terminal]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_another_users_run_does_not_exist(live: LiveServer, witness: Witness) -> None:
    """Reading, listing, cancelling and resuming somebody else's run answer 404, and the run goes on."""
    ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
    bearer = {"Authorization": f"Bearer {bob.token}"}
    async with live.ws(ada.token) as adas, live.ws(bob.token) as bobs:
        run_id = await adas.start("sleeper")
        await adas.next("agent_thinking")
        answers = [
            await live.http.get(f"/runs/{run_id}", headers=bearer),
            await live.http.get(f"/runs/{run_id}/events", headers=bearer),
            await live.http.post(f"/runs/{run_id}/cancel", headers=bearer),
        ]
        assert [404, 404, 404] == [answer.status_code for answer in answers]
        assert {"not_found"} == {answer.json()["code"] for answer in answers}
        await bobs.send({"type": "resume", "run_id": run_id, "after_seq": 0})
        assert "not_found" == (await bobs.next("error"))["code"]
        await bobs.send({"type": "run.cancel", "run_id": run_id})
        assert "not_found" == (await bobs.next("error"))["code"]
        row = await witness.row(run_id)
        assert row is not None
        assert RunStatus.RUNNING == row["status"]
        assert [] == [message for message in bobs.received if message.get("run_id") == run_id]
        await adas.send({"type": "run.cancel", "run_id": run_id})
        await adas.events(run_id)


@pytest.mark.service("redis", "database", "http")
async def test_an_engine_refuses_another_users_context(live: LiveServer, witness: Witness) -> None:
    """An engine runs nothing in the name of somebody else, and writes nothing of it."""
    ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
    async with live.platform.factory.user_execution_scope(context_of(ada)) as engine:
        with pytest.raises(ForbiddenError, match="another user"):
            await engine.run("research", {}, context=context_of(bob))
    assert [] == await witness.rows(bob.user_id)


def test_a_context_takes_only_real_ids() -> None:
    """Empty, placeholder and reserved-character IDs are refused, and the metadata cannot be changed."""
    refused = []
    for user_id in ("", " ", "None", "default", "a:b", "a*", "a b", "x" * 129, "\n"):
        with pytest.raises(InvalidContextError) as error:
            UserExecutionContext(user_id=user_id)
        refused.append(error.value.code)
    assert ["invalid_context"] * 9 == refused
    context = UserExecutionContext(user_id="a-1", metadata={"source": "tab"})
    with pytest.raises(TypeError):
        context.metadata["source"] = "other"  # type: ignore[index] # what is refused
    again = context.next_run()
    assert (context.user_id, context.thread_id) == (again.user_id, again.thread_id)
    assert context.run_id != again.run_id
