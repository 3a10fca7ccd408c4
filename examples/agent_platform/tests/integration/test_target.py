"""From outside: what holds of every platform, the one started here and the one that ``--target`` names, by its address alone."""

import uuid

import pytest

from agent_platform.app import SIMULATION_HEADER
from agent_platform.simulator import SignedIn
from agent_platform.testing import PlatformClient

CALL = ["tool_executing", "tool_completed"]
RESEARCH = ["agent_started", "agent_thinking", *CALL, "agent_thinking", *CALL, *CALL, "agent_completed"]


def bearer(user: SignedIn) -> dict[str, str]:
    """The header that carries the user's token."""
    return {"Authorization": f"Bearer {user.token}"}


async def newcomer(target: PlatformClient, name: str) -> SignedIn:
    """A user that nobody has seen before: a platform that somebody else runs keeps what earlier tests left."""
    return await target.sign_in(f"{name}-{uuid.uuid4()}@example.com")


@pytest.mark.service("http")
async def test_it_is_ready(target: PlatformClient) -> None:
    """Every check of the platform holds."""
    answer = await target.http.get("/health/ready")
    assert (200, True, []) == (answer.status_code, answer.json()["ready"], answer.json()["failing"])


@pytest.mark.service("http", "websocket")
async def test_a_runs_events_come_in_order_and_are_kept(target: PlatformClient) -> None:
    """The socket carries the exact sequence without a gap, and the route answers the same stream, whole and from any point."""
    ada = await newcomer(target, "ada")
    async with target.ws(ada.token) as client:
        run_id = await client.start("research", topic="tides")
        events = await client.events(run_id)
    assert RESEARCH == [event["type"] for event in events]
    assert list(range(1, 11)) == [event["seq"] for event in events]
    assert {(run_id, ada.user_id)} == {(event["run_id"], event["user_id"]) for event in events}
    kept = await target.http.get(f"/runs/{run_id}/events", headers=bearer(ada))
    later = await target.http.get(f"/runs/{run_id}/events?after=7", headers=bearer(ada))
    assert (events, events[7:]) == (kept.json()["events"], later.json()["events"])
    run = (await target.http.get(f"/runs/{run_id}", headers=bearer(ada))).json()
    assert ("succeeded", events[-1]["payload"]["result"]) == (run["status"], run["result"])


@pytest.mark.service("http", "websocket")
async def test_a_run_that_fails_says_so_last(target: PlatformClient) -> None:
    """A failing agent ends in one terminal event with its reason."""
    ada = await newcomer(target, "ada")
    async with target.ws(ada.token) as client:
        events = await client.events(await client.start("failing", message="the tide is out"))
    assert ["agent_started", "agent_error"] == [event["type"] for event in events]
    assert ("failed", "RuntimeError: the tide is out") == tuple(events[-1]["payload"][name] for name in ("status", "reason"))


@pytest.mark.service("http", "websocket")
async def test_a_client_that_was_away_gets_the_rest(target: PlatformClient) -> None:
    """After a reconnection exactly the events since the last one seen are sent again."""
    ada = await newcomer(target, "ada")
    async with target.ws(ada.token) as client:
        run_id = await client.start("research", topic="tides")
        events = await client.events(run_id)
    async with target.ws(ada.token) as client:
        await client.send({"type": "resume", "run_id": run_id, "after_seq": 4})
        await client.next("replay_done")
        assert events[4:] == [message for message in client.received if "seq" in message]


@pytest.mark.service("http", "websocket")
async def test_two_users_see_nothing_of_each_other(target: PlatformClient) -> None:
    """A user's events reach no other user's socket, and the run of one does not exist for the other."""
    ada, bob = [await newcomer(target, name) for name in ("ada", "bob")]
    async with target.ws(ada.token) as adas, target.ws(bob.token) as bobs:
        runs = [await adas.start("research", topic="tides"), await bobs.start("research", topic="moons")]
        streams = [await adas.events(runs[0]), await bobs.events(runs[1])]
    assert [{ada.user_id}, {bob.user_id}] == [{event["user_id"] for event in stream} for stream in streams]
    assert [{runs[0]}, {runs[1]}] == [
        {message["run_id"] for message in client.received if "run_id" in message} for client in (adas, bobs)
    ]
    assert 404 == (await target.http.get(f"/runs/{runs[0]}", headers=bearer(bob))).status_code


@pytest.mark.service("http", "websocket")
async def test_only_its_own_tokens_open_it(target: PlatformClient) -> None:
    """A wrong key gives no token; a token that is changed, or logged out, opens neither route nor socket."""
    answer = await target.http.post("/auth/simulate", json={"email": "eve@example.com"}, headers={SIMULATION_HEADER: "guessed"})
    assert (401, "unauthorized") == (answer.status_code, answer.json()["code"])
    ada = await newcomer(target, "ada")
    headers = bearer(ada)
    assert (200, 101) == (
        (await target.http.get("/me", headers=headers)).status_code,
        (await target.handshake(headers=headers))[0],
    )
    changed = {"Authorization": f"{headers['Authorization'][:-8]}AAAAAAAA"}
    await target.http.post("/auth/logout", headers=headers)
    for refused in (changed, headers):
        assert 401 == (await target.http.get("/me", headers=refused)).status_code
        assert 401 == (await target.handshake(headers=refused))[0]
