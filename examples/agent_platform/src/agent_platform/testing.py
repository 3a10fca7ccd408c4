"""A complete platform for tests: real server, real sockets, real services, nothing stands in for anything."""

import asyncio
import json
import os
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import websockets
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from agent_platform.agents import AgentRegistry
from agent_platform.app import SIMULATION_HEADER, create_app, platform_of
from agent_platform.context import new_id
from agent_platform.database import drop_schema
from agent_platform.server import PlatformServer
from agent_platform.settings import Settings
from agent_platform.simulator import SignedIn

DEADLINE_S = 10.0
"""How long a test waits for anything at most."""

Message = dict[str, Any]
"""A message as it came over the wire."""

PROCESS_DEADLINE_S = 40.0
"""The same for a process of its own, which may have to compile everything that it imports."""

TERMINAL = ("agent_completed", "agent_error")


def create_test_app(
    *, registry: AgentRegistry | None = None, workdir: Path | None = None, env_file: Path | None = None, **overrides: str
) -> Starlette:
    """An application in the test environment with its own Redis namespace, database and secrets.

    Redis is the one of REDIS_URL, the database a new file in ``workdir``, or a schema of its own where DATABASE_URL names a
    PostgreSQL. ``overrides`` are settings by their names in the environment and win over everything.
    """
    unique = new_id()[:12]
    environment = {
        "ENVIRONMENT": "test",
        "REDIS_NAMESPACE": f"t{unique}",
        "JWT_SECRET": secrets.token_urlsafe(48),
        "REDIS_URL": os.environ.get("REDIS_URL", ""),
    }
    if env_file is None:
        environment["E2E_OAUTH_SIMULATION_KEY"] = secrets.token_urlsafe(48)
    database_url = overrides.get("DATABASE_URL") or os.environ.get("DATABASE_URL", "")
    if database_url.startswith("postgresql://"):  # what a provider of servers says, who knows of no driver
        database_url = database_url.replace("postgresql:", "postgresql+asyncpg:", 1)
    if database_url.startswith("postgresql+asyncpg:"):
        environment |= {"DATABASE_URL": database_url, "DATABASE_SCHEMA": f"t{unique}"}
    else:
        folder = workdir if workdir is not None else Path(tempfile.mkdtemp(prefix="agent_platform_"))
        environment["DATABASE_URL"] = f"sqlite+aiosqlite:///{folder / f'{unique}.sqlite3'}"
    app = create_app(Settings.load({**environment, **overrides}, env_file), registry=registry)
    app.state.owns_schema = True
    return app


class _InProcessServer(PlatformServer):
    """Runs beside the test in its loop: no signal handlers, no ticking, told to stop by an event."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(app, host="127.0.0.1", port=0)
        self.listening = asyncio.Event()
        self.stop = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process' signal handlers as they are."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        await self.on_tick(0)
        await self.stop.wait()


class PlatformClient:
    """What reaches a platform from outside: HTTP and WebSockets at its address, and the key of its simulator."""

    simulation_key = ""

    def __init__(self) -> None:
        self._http: httpx.AsyncClient | None = None

    @property
    def http(self) -> httpx.AsyncClient:
        """A client of the platform."""
        assert self._http is not None, "there is no connection yet: use it as `async with … as platform`"
        return self._http

    def open(self, url: str) -> None:
        """Take ``url`` as the platform's address; nothing is sent yet."""
        self._http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=DEADLINE_S)

    @property
    def socket_url(self) -> str:
        """Where its WebSocket is."""
        return f"ws{str(self.http.base_url).removeprefix('http').rstrip('/')}/ws"

    async def sign_in(self, email: str, *, permissions: Sequence[str] | None = None) -> SignedIn:
        """Sign a user in through the simulator's endpoint."""
        body = {"email": email} if permissions is None else {"email": email, "permissions": list(permissions)}
        answer = await self.http.post("/auth/simulate", json=body, headers={SIMULATION_HEADER: self.simulation_key})
        answer.raise_for_status()
        return SignedIn(**answer.json())

    async def handshake(
        self, *, headers: Mapping[str, str] | None = None, subprotocols: Sequence[str] = ()
    ) -> tuple[int, Message]:
        """The status of a WebSocket handshake and the body of its refusal; an accepted one is closed again."""
        offered = [Subprotocol(name) for name in subprotocols] or None
        try:
            async with websockets.connect(self.socket_url, additional_headers=headers, subprotocols=offered, proxy=None):
                return 101, {}
        except InvalidStatus as refused:
            return refused.response.status_code, json.loads(refused.response.body)

    @asynccontextmanager
    async def ws(self, token: str) -> AsyncIterator["Client"]:
        """A WebSocket of the token's user, after its ``connection_ready``."""
        headers = {"Authorization": f"Bearer {token}"}
        async with websockets.connect(
            self.socket_url, additional_headers=headers, proxy=None, open_timeout=DEADLINE_S
        ) as socket_:
            client = Client(socket_)
            await client.next("connection_ready")
            yield client


class RemotePlatform(PlatformClient):
    """A platform that somebody else runs, for the length of a block; E2E_OAUTH_SIMULATION_KEY holds its simulator's key."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.simulation_key = os.environ.get("E2E_OAUTH_SIMULATION_KEY", "")

    async def __aenter__(self) -> Self:
        self.open(self.url)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.http.aclose()


class LiveServer(PlatformClient):
    """The application on a real port of this machine, for the length of a block."""

    def __init__(self, app: Starlette) -> None:
        super().__init__()
        self.platform = platform_of(app)
        self.settings = self.platform.settings
        self.simulation_key = self.settings.simulation_key
        self._owns_schema = getattr(app.state, "owns_schema", False)
        self.port = 0
        self._server = _InProcessServer(app)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # asyncio sets TCP_NODELAY only where the protocol is named; without it small frames wait 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]), name="live server")
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({self._task, listening}, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if not listening.done():
            listening.cancel()
            listener.close()
            await self._task  # raises what kept it from starting
        self.open(f"http://127.0.0.1:{self.port}")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.http.aclose()
        await self.stop()
        if self._owns_schema:
            await drop_schema(self.settings)

    async def stop(self) -> None:
        """Stop in order; may be called again. What is stored stays until the block ends."""
        self._server.stop.set()
        if self._task is not None:
            await self._task

    @property
    def open_connections(self) -> int:
        """How many clients' TCP connections the server still holds."""
        return len(self._server.server_state.connections)

    async def settled(self) -> None:
        """Return once no submitted run is left and its engine is closed; TimeoutError after the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            await self.platform.factory.settled()


class Client:
    """What a user's program does with its socket: sends, and keeps every message that comes, in order."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.received: list[Message] = []
        """Every message of this connection so far."""
        self._unread: list[Message] = []

    async def send(self, message: Mapping[str, object]) -> None:
        """Send one message."""
        await self.connection.send(json.dumps(message))

    async def receive(self) -> Message:
        """The next message from the socket; TimeoutError after the deadline."""
        async with asyncio.timeout(DEADLINE_S):
            message: Message = json.loads(await self.connection.recv())
        self.received.append(message)
        return message

    async def next(self, kind: str, **fields: object) -> Message:
        """The next message of this type with these fields; others are kept for later calls."""
        wanted = {"type": kind, **fields}
        for message in self._unread:
            if wanted.items() <= message.items():
                self._unread.remove(message)
                return message
        while True:
            message = await self.receive()
            if wanted.items() <= message.items():
                return message
            self._unread.append(message)

    async def start(self, agent: str, **agent_input: object) -> str:
        """Start an agent; its run's ID."""
        ref = new_id()
        await self.send({"type": "run.start", "agent": agent, "input": agent_input, "ref": ref})
        while (answer := await self.receive()).get("ref") != ref:
            self._unread.append(answer)
        assert answer["type"] == "run_accepted", f"the run was refused: {answer}"
        return str(answer["run_id"])

    async def events(self, run_id: str) -> list[Message]:
        """The run's events up to and with the terminal one, in the order they came."""
        while not (events := self._events_of(run_id)) or events[-1]["type"] not in TERMINAL:
            await self.receive()
        return events

    async def close_code(self) -> int:
        """The code with which the server closes the connection; what comes before is kept."""
        with suppress(ConnectionClosed):
            while True:
                await self.receive()
        assert self.connection.close_code is not None
        return self.connection.close_code

    def _events_of(self, run_id: str) -> list[Message]:
        return [message for message in self.received if "seq" in message and message["run_id"] == run_id]
