"""Limits: what one user and one process may have, and how slots and cancelled runs come back."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from witness import Trace, Witness

from agent_platform.app import create_app
from agent_platform.context import UserExecutionContext
from agent_platform.errors import BadRequestError, DependencyError, LimitExceededError, UnavailableError
from agent_platform.redis_manager import RedisManager
from agent_platform.testing import DEADLINE_S, LiveServer, create_test_app

THINKING = 2
"""What the sleeper has emitted once it sleeps: started, thinking."""


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_third_engine_is_refused_until_a_slot_returns(live: LiveServer, witness: Witness) -> None:
    """A user's third concurrent run answers 429 with the reason; cancelling one makes room."""
    ada = await live.sign_in("ada@example.com")
    bearer = {"Authorization": f"Bearer {ada.token}"}
    async with live.ws(ada.token) as client:
        runs = [await client.start("sleeper") for _ in range(2)]
        refused = await live.http.post("/runs", json={"agent": "sleeper"}, headers=bearer)
        assert 429 == refused.status_code
        assert {
            "code": "limit_exceeded",
            "message": "all 2 engines of this user are in use",
            "hint": "end one, then try again",
        } == refused.json()
        await client.send({"type": "run.cancel", "run_id": runs[0]})
        await client.events(runs[0])
        async with asyncio.timeout(DEADLINE_S):
            while await witness.leases("engines", ada.user_id) > 1:
                pass
        accepted = await live.http.post("/runs", json={"agent": "failing"}, headers=bearer)
        assert 202 == accepted.status_code
        assert "failed" == (await client.events(accepted.json()["run_id"]))[-1]["payload"]["status"]
    assert 3 == len(await witness.rows(ada.user_id))


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_full_process_takes_no_more_runs(tmp_path: Path) -> None:
    """Beyond the runs that one process takes, another user's run answers 503 and leaves neither row nor slot."""
    app = create_test_app(workdir=tmp_path, CONCURRENT_RUNS="1")
    async with LiveServer(app) as live, Witness(live.settings) as witness:
        ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
        async with live.ws(ada.token) as client:
            run_id = await client.start("sleeper")
            refused = await live.http.post("/runs", json={"agent": "sleeper"}, headers={"Authorization": f"Bearer {bob.token}"})
            assert (503, "unavailable") == (refused.status_code, refused.json()["code"])
            assert [] == await witness.rows(bob.user_id)
            assert 0 == await witness.leases("engines", bob.user_id)
            await client.send({"type": "run.cancel", "run_id": run_id})
            await client.events(run_id)
            await live.settled()
        async with live.ws(bob.token) as client:
            await client.events(await client.start("failing"))


@pytest.mark.service("redis", "database", "http")
async def test_a_fourth_agent_of_one_engine_is_refused(live: LiveServer) -> None:
    """An engine runs three agents at once, and a closed one none."""
    ada = await live.sign_in("ada@example.com")
    async with live.platform.factory.user_execution_scope(UserExecutionContext(user_id=ada.user_id)) as engine:
        for _ in range(3):
            await engine.start("sleeper", {})
        with pytest.raises(LimitExceededError, match="all 3 agents"):
            await engine.start("sleeper", {})
    with pytest.raises(UnavailableError, match="closed"):
        await engine.start("sleeper", {})


@pytest.mark.service("redis", "database", "http")
async def test_a_dead_workers_slots_return(tmp_path: Path) -> None:
    """Slots whose worker is gone without a word return when their leases expire; those of a living one stay taken."""
    app = create_test_app(workdir=tmp_path, LEASE_S="0.3")
    async with LiveServer(app) as live, Witness(live.settings) as witness:
        ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
        alive = await live.platform.factory.create_for_user(UserExecutionContext(user_id=bob.user_id))
        dead = RedisManager(settings=live.settings)
        await dead.start()
        for _ in range(2):
            await dead.leases.acquire("engines", ada.user_id, limit=2)
        await dead.close()
        with pytest.raises(LimitExceededError):
            await live.platform.redis.leases.acquire("engines", ada.user_id, limit=2)
        async with asyncio.timeout(DEADLINE_S):
            while await live.platform.redis.leases.count("engines", ada.user_id):
                pass
            while await witness.redis.exists(witness.key("lease", "engines", ada.user_id)):
                pass
        assert 1 == await live.platform.redis.leases.count("engines", bob.user_id)
        await live.platform.factory.close_engine(alive, reason="the test is over")


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_run_that_takes_too_long_is_timed_out(tmp_path: Path) -> None:
    """A run beyond its time ends as timed_out with one terminal event, and its row never changes again."""
    app = create_test_app(workdir=tmp_path, RUN_TIMEOUT_S="0.2")
    async with LiveServer(app) as live, Witness(live.settings) as witness:
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            run_id = await client.start("sleeper")
            events = await client.events(run_id)
            await live.settled()
            row = await witness.row(run_id)
            await client.send({"type": "run.cancel", "run_id": run_id})
            await client.send({"type": "ping"})
            await client.next("pong")
        assert ("agent_error", "timed_out") == (events[-1]["type"], events[-1]["payload"]["status"])
        assert "longer than 0.2 s" == events[-1]["payload"]["reason"]
        assert Trace(row="timed_out", state="timed_out", seqs=[1, 2, THINKING + 1]) == await witness.trace(run_id)
        assert row == await witness.row(run_id)


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_cancelled_caller_cancels_its_run(live: LiveServer, witness: Witness) -> None:
    """Whoever awaits a run and is cancelled takes the run with it, which still ends in order."""
    ada = await live.sign_in("ada@example.com")
    context = UserExecutionContext(user_id=ada.user_id)
    async with live.ws(ada.token) as client, live.platform.factory.user_execution_scope(context) as engine:
        caller = asyncio.create_task(engine.run("sleeper", {}))
        await client.next("agent_thinking")
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert {} == engine.live_runs
        events = await client.events(context.run_id)
    assert "the caller went away" == events[-1]["payload"]["reason"]
    assert Trace(row="cancelled", state="cancelled", seqs=[1, 2, THINKING + 1]) == await witness.trace(context.run_id)


@pytest.mark.service("redis", "database", "http")
async def test_a_run_that_cannot_be_stored_takes_nothing(live: LiveServer, witness: Witness) -> None:
    """A run whose row is refused by the database starts nothing, and gives slot, capacity and emitter back."""
    context = UserExecutionContext(user_id="nobody-signed-in")
    with pytest.raises(IntegrityError):
        await live.platform.factory.submit(context, "sleeper", {})
    assert ([], {}) == (list(live.platform.factory.engines), live.platform.factory.live_runs)
    assert frozenset() == live.platform.bridge.open_runs
    assert set() == await witness.keys()
    assert await witness.row(context.run_id) is None
    answer = await live.http.get("/health/ready")
    assert 200 == answer.status_code


@pytest.mark.service("redis", "database", "http")
async def test_agents_are_fixed_once_the_platform_runs(live: LiveServer) -> None:
    """A running platform takes no further agent, and an unknown one is refused with those that exist."""
    with pytest.raises(DependencyError, match="comes after the start-up"):
        live.platform.registry.register(live.platform.registry.get("failing"))
    with pytest.raises(BadRequestError) as unknown:
        live.platform.registry.get("nobody")
    assert "agent 'nobody' is unknown [fix: known: admin, failing, research, sleeper]" == str(unknown.value)
    assert 200 == (await live.http.get("/health/ready")).status_code


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_run_is_cancelled_from_another_worker(live: LiveServer, witness: Witness) -> None:
    """A cancel that reaches another process of the platform ends the run, and both processes' sockets see it."""
    ada = await live.sign_in("ada@example.com")
    async with LiveServer(create_app(live.settings)) as other:
        async with live.ws(ada.token) as here, other.ws(ada.token) as there:
            run_id = await here.start("sleeper")
            await here.next("agent_thinking")
            answer = await other.http.post(f"/runs/{run_id}/cancel", headers={"Authorization": f"Bearer {ada.token}"})
            assert (202, "running") == (answer.status_code, answer.json()["status_when_asked"])
            events = await here.events(run_id)
            assert events == await there.events(run_id)
        assert {} == other.platform.factory.live_runs
    assert "cancelled by the user" == events[-1]["payload"]["reason"]
    assert Trace(row="cancelled", state="cancelled", seqs=[1, 2, THINKING + 1]) == await witness.trace(run_id)
