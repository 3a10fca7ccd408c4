"""Shutdown: every run ends in order, every client is told, and nothing is left open."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import httpx
import pytest
import websockets
from witness import Trace, Witness

import agent_platform
from agent_platform.agents import Agent, Job, built_in_agents
from agent_platform.app import SIMULATION_HEADER
from agent_platform.context import UserExecutionContext
from agent_platform.engine import LiveRun
from agent_platform.errors import UnavailableError
from agent_platform.factory import SHUTDOWN_REASON
from agent_platform.settings import Settings
from agent_platform.testing import DEADLINE_S, PROCESS_DEADLINE_S, Client, LiveServer, create_test_app

SOURCES = str(Path(agent_platform.__file__).parents[1])


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_stopping_ends_runs_before_sockets(tmp_path: Path) -> None:
    """A run that is stopped with its server ends with the reason, which its client sees before the close with 1012."""
    async with LiveServer(create_test_app(workdir=tmp_path)) as live, Witness(live.settings) as witness:
        before = asyncio.all_tasks()
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            run_id = await client.start("sleeper")
            await client.next("agent_thinking")
            stopping = asyncio.create_task(live.stop())
            code = await client.close_code()
            await stopping
        end = client.received[-1]
        assert ("agent_error", "cancelled", SHUTDOWN_REASON) == (end["type"], end["payload"]["status"], end["payload"]["reason"])
        assert 1012 == code
        assert Trace(row="cancelled", state="cancelled", seqs=[1, 2, 3]) == await witness.trace(run_id)
        assert 1 == len([event for event in await witness.events(run_id) if event["type"] == "agent_error"])
        left = (live.platform.database.connections_in_use, live.open_connections, live.platform.bridge.sockets)
        assert (0, 0, []) == left
        assert [0, 0] == [await witness.leases(kind, ada.user_id) for kind in ("engines", "conns")]
        assert set() == asyncio.all_tasks() - before


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_a_stubborn_agent_does_not_hold_the_shutdown(tmp_path: Path) -> None:
    """An agent that ignores its cancellation is reported by name; the others and the shutdown end within the grace."""
    enough = asyncio.Event()

    async def ignore(job: Job) -> object:
        await job.think(1, "I will not be moved.")
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue
        return None

    registry = built_in_agents()
    registry.register(Agent(name="stubborn", run=ignore))
    app = create_test_app(registry=registry, workdir=tmp_path, CANCEL_GRACE_S="0.2", SHUTDOWN_GRACE_S="2")
    async with LiveServer(app) as live, Witness(live.settings) as witness:
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            runs = [await client.start(agent) for agent in ("stubborn", "sleeper")]
            for run_id in runs:
                await client.next("agent_thinking", run_id=run_id)
            async with asyncio.timeout(DEADLINE_S):
                await live.stop()
            assert 1012 == await client.close_code()
        assert (f"agent stubborn {runs[0]}",) == live.platform.stubborn
        assert [("cancelled", SHUTDOWN_REASON)] * 2 == [(row["status"], row["reason"]) for row in await witness.rows(ada.user_id)]
        terminal = [[event["type"] for event in await witness.events(run_id)][-1] for run_id in runs]
        assert ["agent_error", "agent_error"] == terminal
        assert 0 == await witness.leases("engines", ada.user_id)
        stubborn = [task for task in asyncio.all_tasks() if task.get_name() == live.platform.stubborn[0]]
        enough.set()
        await asyncio.wait_for(asyncio.gather(*stubborn), DEADLINE_S)
        assert 1 == len(stubborn)


@pytest.mark.service("redis", "database", "http")
async def test_a_run_that_is_being_started_ends_with_the_server(tmp_path: Path) -> None:
    """A run that is on its way in when the server stops is either refused without a trace or ends in order."""
    async with LiveServer(create_test_app(workdir=tmp_path)) as live, Witness(live.settings) as witness:
        factory = live.platform.factory
        ada, bob = [await live.sign_in(email) for email in ("ada@example.com", "bob@example.com")]
        adas = UserExecutionContext(user_id=ada.user_id)
        engine = await factory.create_for_user(adas)
        late = factory.submit(UserExecutionContext(user_id=bob.user_id), "sleeper", {})
        started, refused, _ = await asyncio.gather(
            engine.start("sleeper", {}), late, live.platform.drain(), return_exceptions=True
        )
        assert isinstance(started, LiveRun)
        assert isinstance(refused, UnavailableError)
        assert SHUTDOWN_REASON == refused.message
        assert Trace(row="cancelled", state="cancelled", seqs=[1, 2]) == await witness.trace(adas.run_id)
        assert ["agent_started", "agent_error"] == [event["type"] for event in await witness.events(adas.run_id)]
        assert [] == await witness.rows(bob.user_id)
        assert {f"run:{adas.run_id}"} == await witness.keys()
        assert ([], {}) == (list(factory.engines), factory.live_runs)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without a signal it could answer")
@pytest.mark.service("process", "redis", "database", "websocket", "http")
async def test_sigterm_ends_a_process_in_order(tmp_path: Path) -> None:
    """A process that gets SIGTERM ends its run, tells its client, closes with 1012 and ends by the signal."""
    url = f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}"
    variables = {
        "ENVIRONMENT": "test",
        "DATABASE_URL": url,
        "REDIS_URL": os.environ["REDIS_URL"],
        "REDIS_NAMESPACE": f"p{os.getpid()}",
        "JWT_SECRET": "for this process only, and long enough",
        "E2E_OAUTH_SIMULATION_KEY": "for this process only",
        "PORT": "0",
    }
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "LD_LIBRARY_PATH"}}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agent_platform", env={**inherited, "PYTHONPATH": SOURCES, **variables}, stderr=PIPE
    )
    try:
        async with asyncio.timeout(PROCESS_DEADLINE_S):
            port = await _port_of(child)
            headers = {SIMULATION_HEADER: variables["E2E_OAUTH_SIMULATION_KEY"]}
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
                token = (await http.post("/auth/simulate", json={"email": "a@b.c"}, headers=headers)).json()["token"]
            bearer = {"Authorization": f"Bearer {token}"}
            async with websockets.connect(f"ws://127.0.0.1:{port}/ws", additional_headers=bearer, proxy=None) as connection:
                client = Client(connection)
                run_id = await client.start("sleeper")
                await client.next("agent_thinking")
                child.send_signal(signal.SIGTERM)
                assert 1012 == await client.close_code()
            _, errors = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.communicate()
    assert -signal.SIGTERM == child.returncode
    assert b"Traceback" not in errors
    assert (SHUTDOWN_REASON, "agent_error") == (client.received[-1]["payload"]["reason"], client.received[-1]["type"])
    async with Witness(Settings.load(variables)) as witness:
        assert Trace(row="cancelled", state="cancelled", seqs=[1, 2, 3]) == await witness.trace(run_id)
        assert {f"run:{run_id}"} == await witness.keys()


async def _port_of(child: asyncio.subprocess.Process) -> int:
    """The port that the process says it listens on."""
    assert child.stderr is not None
    async for line in child.stderr:
        if b"running on http://" in line:
            return int(line.split(b"http://127.0.0.1:")[1].split()[0])
    raise AssertionError("the process ended without listening")
