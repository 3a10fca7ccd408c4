"""Events: their order, their content, and that the stored stream is the one that was sent."""

import pytest
from witness import Trace, Witness

from agent_platform.context import UserExecutionContext
from agent_platform.errors import ProtocolOrderError
from agent_platform.events import EventType
from agent_platform.records import insert_run
from agent_platform.testing import LiveServer

ENVELOPE = {"v", "type", "event_id", "seq", "run_id", "thread_id", "user_id", "agent", "ts", "payload"}


@pytest.mark.service("redis", "database", "websocket", "http")
async def test_a_happy_run_has_the_exact_sequence(live: LiveServer, witness: Witness) -> None:
    """The research agent's events come in their order, numbered without a gap, each with its payload's fields."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        run_id = await client.start("research", topic="tides")
        events = await client.events(run_id)
    call = [("tool_executing", {"call_id", "tool", "parameters"})]
    call += [("tool_completed", {"call_id", "tool", "status", "result", "duration_ms"})]
    thought = ("agent_thinking", {"step", "thought"})
    expected = [("agent_started", {"input"}), thought, *call, thought, *call, *call]
    expected += [("agent_completed", {"status", "result", "duration_ms"})]
    assert expected == [(event["type"], set(event["payload"])) for event in events]
    assert list(range(1, 11)) == [event["seq"] for event in events]
    assert [ENVELOPE] * 10 == [set(event) for event in events]
    assert {(1, run_id, "research", ada.user_id)} == {
        (event["v"], event["run_id"], event["agent"], event["user_id"]) for event in events
    }
    assert {"topic": "tides"} == events[0]["payload"]["input"]
    assert {1: "succeeded"} == {len({event["thread_id"] for event in events}): events[-1]["payload"]["status"]}
    assert {f"run:{run_id}", f"memory:{ada.user_id}:note"} <= await witness.keys()


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_the_socket_the_database_and_the_route_agree(live: LiveServer, witness: Witness) -> None:
    """What the socket carried, what is stored and what the route answers is one stream."""
    ada = await live.sign_in("ada@example.com")
    bearer = {"Authorization": f"Bearer {ada.token}"}
    async with live.ws(ada.token) as client:
        run_id = await client.start("research", topic="tides")
        events = await client.events(run_id)
    assert events == await witness.events(run_id)
    assert events == (await live.http.get(f"/runs/{run_id}/events", headers=bearer)).json()["events"]
    assert events[7:] == (await live.http.get(f"/runs/{run_id}/events?after=7", headers=bearer)).json()["events"]
    run = (await live.http.get(f"/runs/{run_id}", headers=bearer)).json()
    assert ("succeeded", events[-1]["payload"]["result"]) == (run["status"], run["result"])


@pytest.mark.service("redis", "database", "http")
async def test_the_emitter_refuses_every_disorder(live: LiveServer, witness: Witness) -> None:
    """An event out of order is refused and leaves no trace; the stream goes on where it was."""
    ada = await live.sign_in("ada@example.com")
    context = UserExecutionContext(user_id=ada.user_id)
    async with live.platform.database.session() as session:
        await insert_run(session, context, agent="by hand", agent_input={})
    emitter = live.platform.bridge.emitter_for(context, "by hand")
    one, two = {"call_id": "1", "tool": "t"}, {"call_id": "2", "tool": "t"}
    steps: list[tuple[EventType, dict[str, str], bool]] = [
        (EventType.AGENT_THINKING, {}, False),
        (EventType.AGENT_COMPLETED, {}, False),
        (EventType.AGENT_STARTED, {}, True),
        (EventType.AGENT_STARTED, {}, False),
        (EventType.TOOL_COMPLETED, one, False),
        (EventType.TOOL_EXECUTING, {"tool": "t"}, False),
        (EventType.TOOL_EXECUTING, one, True),
        (EventType.TOOL_EXECUTING, one, False),
        (EventType.AGENT_COMPLETED, {}, False),
        (EventType.TOOL_COMPLETED, two, False),
        (EventType.TOOL_COMPLETED, one, True),
        (EventType.TOOL_COMPLETED, one, False),
        (EventType.AGENT_COMPLETED, {}, True),
        (EventType.AGENT_COMPLETED, {}, False),
        (EventType.AGENT_ERROR, {}, False),
        (EventType.AGENT_THINKING, {}, False),
    ]
    taken = []
    for event_type, payload, _ in steps:
        try:
            await emitter.emit(event_type, payload)
        except ProtocolOrderError:
            taken.append(False)
        else:
            taken.append(True)
    live.platform.bridge.release(context.run_id)
    assert [expected for _, _, expected in steps] == taken
    kept = [(index, event_type) for index, event_type in enumerate((e for e, _, ok in steps if ok), start=1)]
    assert kept == [(event["seq"], event["type"]) for event in await witness.events(context.run_id)]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_what_no_database_takes_does_not_keep_a_run_open(live: LiveServer, witness: Witness) -> None:
    """NUL, half characters and numbers that JSON has no word for end in a final row and a terminal event like all else."""
    ada = await live.sign_in("ada@example.com")
    async with live.ws(ada.token) as client:
        run_id = await client.start("failing", message="nul \0 half \ud800", number=float("nan"), deep=[float("-inf")])
        events = await client.events(run_id)
    assert {"message": "nul \0 half \ud800", "number": "nan", "deep": ["-inf"]} == events[0]["payload"]["input"]
    assert "RuntimeError: nul ? half ?" == events[-1]["payload"]["reason"]
    assert Trace(row="failed", state="failed", seqs=[1, 2]) == await witness.trace(run_id)
    assert events == await witness.events(run_id)


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_secrets_and_long_values_are_cut_out(live: LiveServer, witness: Witness) -> None:
    """Secrets in an input, however deep, reach neither socket nor database, and long texts are cut."""
    ada = await live.sign_in("ada@example.com")
    hush = "hush-4711"
    agent_input = {
        "message": "m" * 5000,
        "Password": hush,
        "deep": [{"api-key": hush, "x_authorization": hush}, {"plain": "shown"}],
        "refresh_token": [hush],
        "client_secret": {"value": hush},
    }
    async with live.ws(ada.token) as client:
        run_id = await client.start("failing", **agent_input)
        events = await client.events(run_id)
    expected = {
        "message": "m" * 1999 + "…",
        "Password": "***",
        "deep": [{"api-key": "***", "x_authorization": "***"}, {"plain": "shown"}],
        "refresh_token": "***",
        "client_secret": "***",
    }
    assert expected == events[0]["payload"]["input"]
    assert 2000 == len(events[-1]["payload"]["reason"])
    assert hush not in f"{events} {await witness.events(run_id)} {await witness.row(run_id)}"
