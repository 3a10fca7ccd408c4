"""The reference platform somewhere else: a process with staging's settings, and its suite pointed at that address."""

import asyncio
import json
import os
import secrets
import socket
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.postgres import start_postgres
from ci_tools.services.redis import start_redis

PLATFORM = Path(__file__).resolve().parents[2] / "examples" / "agent_platform"
DEADLINE_S = 60.0
OUTSIDE = 6
"""How many tests the platform's suite has that know of it by its address alone."""


def own_address() -> str:
    """This machine's address on its network: staging's rules take no loopback. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


@asynccontextmanager
async def beyond_loopback(url: str) -> AsyncIterator[str]:
    """The URL of the same service at this machine's own address, for callers on this machine only."""
    parts = urlsplit(url)
    address = own_address()
    tasks = asyncio.TaskGroup()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("peername")[0] == address:
            there, back = await asyncio.open_connection(parts.hostname, parts.port)
            tasks.create_task(pump(reader, back))
            await pump(there, writer)
        writer.close()

    async with tasks, await asyncio.start_server(relay, address, 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{address}:{port}").geturl()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies until either side ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def staging(environment: Mapping[str, str]) -> AsyncIterator[str]:
    """``python -m agent_platform`` with this environment; its address once it is ready, and its orderly end afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent_platform"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PLATFORM / "src"), "PORT": str(port), **environment},
        stderr=PIPE,
    )
    said: list[str] = []
    assert child.stderr is not None
    listening = asyncio.Event()

    async def listen(stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            said.append(line.decode())
            if "running on" in said[-1]:
                listening.set()
        listening.set()

    listener = asyncio.create_task(listen(child.stderr))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await listening.wait()
        assert child.returncode is None, said
        yield f"http://127.0.0.1:{port}"
        child.terminate()
        async with asyncio.timeout(DEADLINE_S):
            await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await listener


async def outcome_of(*command: str, environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Exit code and output of a command."""
    child = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(3 * DEADLINE_S):
            output, errors = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode, (output + errors).decode()


async def point_the_suite_at_staging(redis_url: str, postgres_url: str, artifacts: Path) -> None:
    """Starts the platform by staging's rules on these servers and asks it by its suite and by foreign tokens."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    key, secret = secrets.token_hex(32), secrets.token_hex(32)
    settings = {
        "ENVIRONMENT": "staging",
        "JWT_SECRET": secret,
        "OAUTH_CLIENT_ID": "agents-4711",
        "OAUTH_CLIENT_SECRET": secrets.token_hex(32),
        "ALLOWED_ORIGINS": "https://agents.example.com",
        "E2E_OAUTH_SIMULATION_KEY": key,
    }
    async with AsyncExitStack() as stack:
        settings["REDIS_URL"] = await stack.enter_async_context(beyond_loopback(redis_url))
        there = await stack.enter_async_context(beyond_loopback(postgres_url))
        settings["DATABASE_URL"] = there.replace("postgresql:", "postgresql+asyncpg:", 1)
        url = await stack.enter_async_context(staging(settings))

        command = (sys.executable, "-m", "ci_tools", "run", "--project", str(PLATFORM), "--artifacts", str(artifacts))
        options = ("--configuration", "sqlite", "--", "--target", url)
        code, said = await outcome_of(*command, *options, environment={**inherited, "E2E_OAUTH_SIMULATION_KEY": key})
        assert 0 == code, said
        verdict = json.loads((artifacts / "latest" / "verdict.json").read_text(encoding="utf-8"))
        assert ("passed", OUTSIDE) == (verdict["decision"], verdict["counts"]["passed"])
        code, said = await outcome_of(*command, *options, environment={**inherited, "E2E_OAUTH_SIMULATION_KEY": "guessed"})
        assert 10 == code, said

        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            signed_in = await client.post("/auth/simulate", json={"email": "ada@example.com"}, headers={"X-Simulation-Key": key})
            token = signed_in.json()["token"]
            claims = jwt.decode(token, options={"verify_signature": False})
            assert "staging" == claims["env"]
            tokens = (token, jwt.encode({**claims, "env": "test"}, secret))
            answers = [await client.get("/me", headers={"Authorization": f"Bearer {one}"}) for one in tokens]
            assert [200, 401] == [answer.status_code for answer in answers]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_suite_runs_against_staging(tmp_path: Path) -> None:
    """With ``--target`` the tests from outside pass on a process with staging's settings; with another key they fail."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    with (
        start_redis(ServiceSpec(kind=ServiceKind.REDIS), environ={"PATH": ""}, folder=None) as redis_server,
        start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES), environ=inherited, folder=None) as postgres_server,
    ):
        asyncio.run(point_the_suite_at_staging(redis_server.url, postgres_server.url, tmp_path))
