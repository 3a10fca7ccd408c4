"""One client's WebSocket: a reader, a writer with a bounded queue, and an end that never waits for a slow client."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from agent_platform.bridge import CLOSE_TOKEN
from agent_platform.context import UserExecutionContext, new_id
from agent_platform.errors import BadRequestError, ForbiddenError, NotFoundError, PlatformError, UnavailableError
from agent_platform.leases import Lease
from agent_platform.lifecycle import Platform
from agent_platform.records import find_run, list_runs_since
from agent_platform.tokens import Principal

_LOG = logging.getLogger(__name__)

CLOSE_INTERNAL = 1011
CLOSE_SLOW_CONSUMER = 4429
CLOSE_TRY_AGAIN = 1013
_CLOSE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replay:
    """Send what is stored after ``after``, then say so."""

    run_id: str
    after: int


class _CatchUp:
    """Send whatever is stored and was not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Goodbye:
    """Close, now that everything before was sent."""

    code: int
    reason: str


class ClientConnection:
    """A signed-in user's open socket."""

    def __init__(self, *, platform: Platform, websocket: WebSocket, principal: Principal) -> None:
        self._platform = platform
        self._websocket = websocket
        self._principal = principal
        self._opened_at = datetime.now(UTC)
        self._queue: asyncio.Queue[Mapping[str, object] | _Replay | _CatchUp | _Goodbye] = asyncio.Queue(
            platform.settings.limits.queue_size
        )
        self._ended: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        self._sent: dict[str, int] = {}
        """The last seq sent of each run."""

    @property
    def user_id(self) -> str:
        """Whose connection it is."""
        return self._principal.user_id

    @property
    def token_id(self) -> str:
        """Which token opened it."""
        return self._principal.token_id

    def offer_event(self, event: Mapping[str, object]) -> None:
        """Take an event of this user."""
        self._offer(event)

    def catch_up(self) -> None:
        """Look into the database for what may have been missed."""
        self._offer(_CatchUp())

    def end(self, code: int, reason: str) -> None:
        """Close the connection now; the first reason counts."""
        if not self._ended.done():
            self._ended.set_result((code, reason))

    def finish(self, code: int, reason: str) -> None:
        """Close the connection once everything stored was sent."""
        self._offer(_CatchUp())
        self._offer(_Goodbye(code=code, reason=reason))

    async def serve(self, lease: Lease, *, subprotocol: str | None) -> None:
        """Accept, then carry messages both ways until one side ends it or the token's life is over; give the slot back."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            await self._websocket.accept(subprotocol)
            await self._platform.bridge.attach(self)
            self._offer({"type": "connection_ready", "user_id": self.user_id})
            tasks = {
                asyncio.create_task(self._read(), name=f"reader {self.user_id}"),
                asyncio.create_task(self._write(), name=f"writer {self.user_id}"),
            }
            remaining_s = max(0.0, self._principal.expires_at - time.time())
            first: set[asyncio.Future[Any]] = {*tasks, self._ended}
            done, _ = await asyncio.wait(first, timeout=remaining_s, return_when=asyncio.FIRST_COMPLETED)
            if done:
                self.end(CLOSE_INTERNAL, "internal error")  # unless it ended for a reason that was said
            else:
                self.end(CLOSE_TOKEN, "the token expired")
        except UnavailableError as error:
            self.end(CLOSE_TRY_AGAIN, error.message)
        finally:
            await self._leave(tasks, lease)
        await self._close()

    async def _leave(self, tasks: set[asyncio.Task[None]], lease: Lease) -> None:
        """Hub entry and slot go first: closing a slow client's socket can take long."""
        with suppress(PlatformError):  # then the slot returns when its lease expires
            try:
                await self._platform.bridge.detach(self)
            finally:
                await self._platform.redis.leases.release(lease)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                _LOG.error("a connection of user %s failed", self.user_id, exc_info=result)

    async def _close(self) -> None:
        code, reason = self._ended.result()
        if WebSocketState.DISCONNECTED in {self._websocket.client_state, self._websocket.application_state}:
            return
        with suppress(TimeoutError, RuntimeError, WebSocketDisconnect, OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._websocket.close(code, reason)

    def _offer(self, item: Mapping[str, object] | _Replay | _CatchUp | _Goodbye) -> None:
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            self.end(CLOSE_SLOW_CONSUMER, "the client reads too slowly")

    async def _write(self) -> None:
        while True:
            match await self._queue.get():
                case _Replay() as replay:
                    await self._replay(replay.run_id, replay.after)
                    await self._send({"type": "replay_done", "run_id": replay.run_id})
                case _CatchUp():
                    await self._send_missed()
                case _Goodbye() as goodbye:
                    self.end(goodbye.code, goodbye.reason)
                    return
                case {"seq": int(seq), "run_id": str(run_id)} as event:
                    await self._send_event(run_id, seq, event)
                case message:
                    await self._send(message)

    async def _send_event(self, run_id: str, seq: int, event: Mapping[str, object]) -> None:
        sent = self._sent.get(run_id, 0)
        if seq == sent + 1:
            await self._send(event)
            self._sent[run_id] = seq
        elif seq > sent:  # a gap: what came between is stored, and so is this event
            await self._replay(run_id, sent)

    async def _replay(self, run_id: str, after: int) -> None:
        for event in await self._platform.bridge.replay(user_id=self.user_id, run_id=run_id, after=after):
            await self._send(event)
            self._sent[run_id] = max(self._sent.get(run_id, 0), int(str(event["seq"])))

    async def _send_missed(self) -> None:
        async with self._platform.database.session() as session:
            recent = await list_runs_since(session, user_id=self.user_id, since=self._opened_at)
        for run_id in dict.fromkeys((*self._sent, *recent)):
            await self._replay(run_id, self._sent.get(run_id, 0))

    async def _send(self, message: Mapping[str, object]) -> None:
        await self._websocket.send_text(json.dumps(message))

    async def _read(self) -> None:
        while True:
            received = await self._websocket.receive()
            if received["type"] == "websocket.disconnect":
                self.end(1000, "the client left")
                return
            message: dict[str, object] = {}
            try:
                message = self._parse(received.get("text"))
                await self._answer(message)
            except PlatformError as error:
                self._offer({"type": "error", **error.body(), "ref": message.get("ref")})
            except SQLAlchemyError:
                _LOG.exception("a message of user %s failed in the database", self.user_id)
                error_body = UnavailableError("the database did not do its part", hint="try again").body()
                self._offer({"type": "error", **error_body, "ref": message.get("ref")})

    def _parse(self, text: str | None) -> dict[str, object]:
        longest = self._platform.settings.limits.message_bytes
        if text is None:
            raise BadRequestError("a binary message", hint="send JSON objects as text")
        if len(text.encode()) > longest:
            raise BadRequestError(f"a message of {len(text.encode())} bytes", hint=f"at most {longest}")
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadRequestError("a message that is not JSON", hint="send JSON objects") from error
        if not isinstance(message, dict):
            raise BadRequestError(f"a message that is a {type(message).__name__}", hint="send JSON objects")
        return message

    async def _answer(self, message: Mapping[str, object]) -> None:
        match message:
            case {"type": "ping"}:
                self._offer({"type": "pong"})
            case {"type": "run.start", "agent": str(agent), "input": dict(agent_input)}:
                context = self._context(message)
                run_id = await self._platform.factory.submit(context, agent, agent_input)
                self._offer({"type": "run_accepted", "ref": message.get("ref"), "run_id": run_id})
            case {"type": "run.cancel", "run_id": str(run_id)}:
                await self._platform.factory.cancel(user_id=self.user_id, run_id=run_id)
            case {"type": "resume", "run_id": str(run_id), "after_seq": int(after)}:
                async with self._platform.database.session() as session:
                    if await find_run(session, user_id=self.user_id, run_id=run_id) is None:
                        raise NotFoundError(f"run {run_id!r} does not exist", hint="name a run that this user started")
                self._offer(_Replay(run_id=run_id, after=after))
            case _:
                raise BadRequestError(
                    f"message type {str(message.get('type'))[:64]!r} with these fields is unknown",
                    hint="ping; run.start agent input; run.cancel run_id; resume run_id after_seq",
                )

    def _context(self, message: Mapping[str, object]) -> UserExecutionContext:
        if "agents:run" not in self._principal.permissions:
            raise ForbiddenError("permission 'agents:run' is missing", hint="sign in with a token that holds it")
        thread_id = message.get("thread_id", None) or new_id()
        return UserExecutionContext(user_id=self.user_id, thread_id=str(thread_id), permissions=self._principal.permissions)
