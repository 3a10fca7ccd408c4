"""Start-up: in order, each phase with a time limit, and undone as a whole when one fails."""

import asyncio
import os
import re
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from witness import Trace, Witness

import agent_platform
from agent_platform.agents import AgentRegistry, built_in_agents
from agent_platform.app import platform_of
from agent_platform.database import drop_schema
from agent_platform.errors import StartupError
from agent_platform.lifecycle import Platform
from agent_platform.testing import DEADLINE_S, PROCESS_DEADLINE_S, LiveServer, create_test_app

SOURCES = str(Path(agent_platform.__file__).parents[1])


class RedisServer(Protocol):
    """A Redis of the test's own."""

    url: str

    def kill(self) -> None:
        """End it at once."""

    def restart(self) -> None:
        """Start it again on the same port, empty."""


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that is taken and where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """A listener that accepts and never answers."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


async def fail_to_start(platform: Platform) -> str:
    """What the platform says when it does not start; nothing of it is left afterwards."""
    tasks = asyncio.all_tasks()
    with pytest.raises(StartupError) as refused:
        await platform.start()
    assert ([], False, 0) == (platform.phases, platform.ready, platform.database.connections_in_use)
    assert tasks == asyncio.all_tasks()
    await drop_schema(platform.settings)
    return str(refused.value)


@asynccontextmanager
async def process(environment: Mapping[str, str], *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python -m agent_platform`` with this environment and nothing else of ours; ended when the block ends."""
    inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH"}}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent_platform",
        *arguments,
        env={**inherited, "PYTHONPATH": SOURCES, **environment},
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def end_of(child: asyncio.subprocess.Process) -> tuple[int | None, list[str]]:
    """Its exit code and the lines it wrote to stderr."""
    async with asyncio.timeout(PROCESS_DEADLINE_S):
        _, errors = await child.communicate()
    return child.returncode, errors.decode().splitlines()


@pytest.mark.service("redis", "database", "http")
async def test_phases_start_in_order_and_readiness_comes_last(tmp_path: Path) -> None:
    """Database, Redis, bridge and factory start in this order; before the last one is done nothing is ready."""
    seen: list[tuple[bool, list[str]]] = []

    class Watching(AgentRegistry):
        """Looks at the platform when the last phase freezes it."""

        def freeze(self) -> None:
            super().freeze()
            seen.append((platform.ready, list(platform.phases)))

    registry = Watching(built_in_agents().get("research"))
    app = create_test_app(registry=registry, workdir=tmp_path)
    platform = platform_of(app)
    async with LiveServer(app) as live:
        answer = await live.http.get("/health/ready")
        assert (200, True, []) == (answer.status_code, answer.json()["ready"], answer.json()["failing"])
        assert ["database", "redis", "bridge", "factory"] == platform.phases
    assert [(False, ["database", "redis", "bridge"])] == seen
    assert (False, []) == (platform.ready, platform.phases)


@pytest.mark.service("database")
async def test_a_refused_redis_is_named_and_the_database_closed(tmp_path: Path) -> None:
    """Without Redis the start-up names phase, address and remedy, and has closed the database again."""
    with refusing_port() as port:
        message = await fail_to_start(
            platform_of(create_test_app(workdir=tmp_path, REDIS_URL=f"redis://:hush@127.0.0.1:{port}/0"))
        )
    assert message.startswith(f"startup phase 'redis': redis at 127.0.0.1:{port} did not answer (")
    assert message.endswith("[fix: check that it runs and that REDIS_URL is right]")
    assert "hush" not in message


async def test_an_unusable_database_is_named_without_its_password(tmp_path: Path) -> None:
    """Without its database the start-up shows the URL with the password hidden, and Redis is never opened."""
    async with silent_port() as port:  # would time out, were it asked
        url = "sqlite+aiosqlite://ada:hush@db.example/app"
        app = create_test_app(workdir=tmp_path, DATABASE_URL=url, REDIS_URL=f"redis://127.0.0.1:{port}/0")
        message = await fail_to_start(platform_of(app))
    assert message.startswith("startup phase 'database': database sqlite+aiosqlite://ada:***@db.example/app cannot be used")
    assert "check DATABASE_URL" in message
    assert "hush" not in message


@pytest.mark.service("database")
async def test_a_listener_that_never_answers_ends_the_phase(tmp_path: Path) -> None:
    """A phase whose service accepts and stays silent ends at its time limit."""
    async with silent_port() as port:
        url = f"redis://127.0.0.1:{port}/0"
        app = create_test_app(workdir=tmp_path, REDIS_URL=url, STARTUP_TIMEOUT_S="2")
        message = await fail_to_start(platform_of(app))
    expected = f"startup phase 'redis': 127.0.0.1:{port} did not answer within 2 s [fix: check what listens there]"
    assert expected == message


@pytest.mark.service("redis", "database")
async def test_a_failure_in_the_last_phase_undoes_the_others(tmp_path: Path) -> None:
    """When the factory does not start, bridge, Redis and database are closed in reverse; no task and no client stays."""
    app = create_test_app(registry=AgentRegistry(), workdir=tmp_path)
    platform = platform_of(app)
    message = await fail_to_start(platform)
    assert message.startswith("startup phase 'factory': the agent registry is empty [fix: ")
    async with Witness(platform.settings) as witness:
        assert set() == await witness.keys()
        channel = witness.key("revocations")
        assert [(channel, 0)] == await witness.redis.pubsub_numsub(channel)


@pytest.mark.service("process")
async def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The exit code is 78 for a bad configuration and 3 for a failed start-up, and the first line says what to do."""
    async with process({"ENVIRONMENT": "prod"}) as child:
        code, lines = await end_of(child)
    assert (78, "error: environment unknown: 1 configuration problem(s):") == (code, lines[0])
    assert "  - ENVIRONMENT: 'prod' is no environment, say 'production' [fix: README.md" in lines[1]
    with refusing_port() as port:
        environment = {"ENVIRONMENT": "test", "JWT_SECRET": "x" * 32, "REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        async with process({**environment, "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'db.sqlite3'}"}) as child:
            code, lines = await end_of(child)
    assert 3 == code
    assert lines[0].startswith(f"error: startup phase 'redis': redis at 127.0.0.1:{port} did not answer")
    assert not any("Traceback" in line for line in lines)


@pytest.mark.service("redis", "database", "http")
async def test_readiness_follows_redis(tmp_path: Path, redis_server: RedisServer) -> None:
    """When Redis is gone the platform is alive and not ready, saying why; when it is back, ready again."""
    async with LiveServer(create_test_app(workdir=tmp_path, REDIS_URL=redis_server.url)) as live:
        assert 200 == (await live.http.get("/health/ready")).status_code
        redis_server.kill()
        answer = await live.http.get("/health/ready")
        assert (503, False) == (answer.status_code, answer.json()["ready"])
        assert "redis" in answer.json()["failing"]
        assert re.search(r"redis at 127\.0\.0\.1:\d+ did not answer", answer.json()["checks"]["redis"]["error"])
        assert 200 == (await live.http.get("/health/live")).status_code
        redis_server.restart()
        async with asyncio.timeout(DEADLINE_S):
            while (await live.http.get("/health/ready")).status_code != 200:
                pass
        ada = await live.sign_in("ada@example.com")
        async with live.ws(ada.token) as client:
            assert "agent_completed" == (await client.events(await client.start("research")))[-1]["type"]


@pytest.mark.service("redis", "database", "http", "websocket")
async def test_two_platforms_share_a_redis_unseen(tmp_path: Path) -> None:
    """Two platforms with namespaces of their own on one Redis: the same user's run in one is nothing to the other."""
    async with (
        LiveServer(create_test_app(workdir=tmp_path)) as one,
        LiveServer(create_test_app(workdir=tmp_path)) as two,
        Witness(one.settings) as ones,
        Witness(two.settings) as twos,
    ):
        ada = await one.sign_in("ada@example.com")
        same = await two.sign_in("ada@example.com")
        assert ada.user_id == same.user_id
        async with one.ws(ada.token) as here, two.ws(same.token) as there:
            run_id = await here.start("research", topic="tides")
            await here.events(run_id)
            await there.send({"type": "ping"})
            await there.next("pong")
        assert ["connection_ready", "pong"] == [message["type"] for message in there.received]
        assert Trace(row="succeeded", state="succeeded", seqs=list(range(1, 11))) == await ones.trace(run_id)
        assert Trace(row=None, state=None, seqs=[]) == await twos.trace(run_id)
        assert await twos.memory(ada.user_id, "note") is None
        assert 401 == (await two.handshake(headers={"Authorization": f"Bearer {ada.token}"}))[0]
