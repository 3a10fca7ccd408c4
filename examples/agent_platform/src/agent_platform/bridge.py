"""The bridge from agents to sockets: an event is stored, then published; what was not published is replayed."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from agent_platform.context import UserExecutionContext
from agent_platform.database import DatabaseSessionManager
from agent_platform.errors import PlatformError
from agent_platform.events import Event, EventOrder, EventType, scrub
from agent_platform.listener import ChannelListener
from agent_platform.records import insert_event, list_events
from agent_platform.redis_manager import RedisManager
from agent_platform.settings import Settings
from agent_platform.shielding import uninterrupted

_LOG = logging.getLogger(__name__)

CLOSE_TOKEN = 4401
"""WebSocket close code: the token expired or was revoked."""

_HEAL_PAUSE_S = 0.05
_LONGEST_HEAL_PAUSE_S = 1.0


class Socket(Protocol):
    """What the hub knows of a connected client."""

    @property
    def user_id(self) -> str:
        """Whose connection it is."""

    @property
    def token_id(self) -> str:
        """Which token opened it."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection now, whatever waits in its queue."""

    def finish(self, code: int, reason: str) -> None:
        """Close the connection once everything stored was sent."""

    def offer_event(self, event: Mapping[str, object]) -> None:
        """Take an event of this user, at once."""

    def catch_up(self) -> None:
        """Look into the database for what may have been missed."""


class EventEmitter:
    """Emits the events of one run, one after another, in the order that the protocol demands."""

    def __init__(self, *, bridge: "AgentWebSocketBridge", context: UserExecutionContext, agent: str) -> None:
        self._bridge = bridge
        self._context = context
        self._agent = agent
        self._order = EventOrder()
        self._seq = 0
        self._turn = asyncio.Lock()

    async def emit(self, event_type: EventType, payload: Mapping[str, object]) -> Event:
        """Store the event, then publish it. ProtocolOrderError if it is out of order; storing must succeed."""
        return await uninterrupted(self._emit(event_type, payload))

    async def end(self, event_type: EventType, payload: Mapping[str, object], *, agent_input: Mapping[str, object]) -> Event:
        """Begin if the run never came to it, close the calls still open, then emit the terminal event."""
        if not self._order.has_begun:
            await self.emit(EventType.AGENT_STARTED, {"input": agent_input})
        for call_id, tool in tuple(self._order.open_calls.items()):
            closing = {"call_id": call_id, "tool": tool, "status": "error", "result": "the run ended", "duration_ms": 0}
            await self.emit(EventType.TOOL_COMPLETED, closing)
        return await self.emit(event_type, payload)

    async def _emit(self, event_type: EventType, payload: Mapping[str, object]) -> Event:
        async with self._turn:
            self._order.check(event_type, payload)
            shown = scrub(payload)
            event = Event.of(
                self._context,
                agent=self._agent,
                event_type=event_type,
                seq=self._seq + 1,
                payload=shown if isinstance(shown, dict) else {},
            )
            await self._bridge.store(event)
            self._seq = event.seq
            self._order.advance(event_type, payload)
            await self._bridge.publish(event)
            return event


class AgentWebSocketBridge:
    """Carries every event to all sockets of its user, in every process, and to nobody else."""

    def __init__(
        self, *, settings: Settings, redis_manager: RedisManager, database_session_manager: DatabaseSessionManager
    ) -> None:
        self._settings = settings
        self._redis = redis_manager
        self._database = database_session_manager
        self._listener = ChannelListener(redis_manager=redis_manager, on_message=self._route, on_restored=self._restore)
        self._emitters: dict[str, EventEmitter] = {}
        self._sockets: dict[str, set[Socket]] = {}
        self._controls: dict[str, Callable[[str], None]] = {redis_manager.key("revocations"): self._revoke}
        self._no_sockets = asyncio.Event()
        self._unpublished: dict[str, int] = {}
        """For each user, which failed publication was the latest."""
        self._healer: asyncio.Task[None] | None = None
        self.metrics: Counter[str] = Counter()

    @property
    def healthy(self) -> bool:
        """Whether events of other processes reach this one."""
        return self._listener.healthy

    @property
    def open_runs(self) -> frozenset[str]:
        """The runs that may still emit."""
        return frozenset(self._emitters)

    @property
    def sockets(self) -> Sequence[Socket]:
        """Every connected client of this process."""
        return [socket for sockets in self._sockets.values() for socket in sockets]

    def listen(self, topic: str, take: Callable[[str], None]) -> None:
        """Hand what any process publishes on the control channel ``topic`` to ``take``; before ``start``."""
        self._controls[self._redis.key(topic)] = take

    async def start(self) -> None:
        """Listen to the control channels."""
        await self._listener.start(*self._controls)

    async def close(self) -> None:
        """Stop listening."""
        healer, self._healer = self._healer, None
        if healer is not None:
            healer.cancel()
            with suppress(asyncio.CancelledError):
                await healer
        await self._listener.close()

    def emitter_for(self, context: UserExecutionContext, agent: str) -> EventEmitter:
        """The emitter of the context's run; ``release`` it when the run is over."""
        emitter = EventEmitter(bridge=self, context=context, agent=agent)
        self._emitters[context.run_id] = emitter
        return emitter

    def release(self, run_id: str) -> None:
        """Forget the run."""
        self._emitters.pop(run_id, None)

    async def attach(self, socket: Socket) -> None:
        """From now on the socket gets its user's events; returns once Redis confirmed the subscription."""
        self._sockets.setdefault(socket.user_id, set()).add(socket)
        self._no_sockets.clear()
        try:
            await self._listener.subscribe(self._channel(socket.user_id))
        except BaseException:
            await self.detach(socket)
            raise

    async def detach(self, socket: Socket) -> None:
        """The socket gets nothing more; its hub entry is gone before anything is awaited."""
        sockets = self._sockets.get(socket.user_id, set())
        sockets.discard(socket)
        if not sockets and self._sockets.pop(socket.user_id, None) is not None:
            if not self._sockets:
                self._no_sockets.set()
            await self._listener.unsubscribe(self._channel(socket.user_id))

    async def say_goodbye(self, code: int, reason: str, *, timeout_s: float) -> None:
        """Close every socket once it has everything; those that are too slow for that, after ``timeout_s``."""
        for socket in self.sockets:
            socket.finish(code, reason)
        if self._sockets:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._no_sockets.wait()
        for socket in self.sockets:
            socket.end(code, reason)

    async def store(self, event: Event) -> None:
        """Write the event down; whoever missed it finds it there."""
        async with self._database.session() as session:
            await insert_event(
                session,
                event_id=event.event_id,
                run_id=event.run_id,
                user_id=event.user_id,
                seq=event.seq,
                body=event.to_json(),
            )
        self.metrics["stored"] += 1

    async def publish(self, event: Event) -> None:
        """Send a stored event to every process; a failure is counted and healed once Redis is back."""
        try:
            await self._redis.publish(self._channel(event.user_id), event.to_json())
        except PlatformError as error:
            self.metrics["unpublished"] += 1
            _LOG.warning("event %d of run %s is stored, not published: %s", event.seq, event.run_id, error.message)
            self._unpublished[event.user_id] = self.metrics["unpublished"]
            if self._healer is None or self._healer.done():
                self._healer = asyncio.create_task(self._heal(), name="bridge healer")
        else:
            self.metrics["published"] += 1

    async def replay(self, *, user_id: str, run_id: str, after: int) -> list[dict[str, object]]:
        """The stored events of this user's run with a seq above ``after``."""
        async with self._database.session() as session:
            bodies = await list_events(session, user_id=user_id, run_id=run_id, after=after)
        return [json.loads(body) for body in bodies]

    def _channel(self, user_id: str) -> str:
        return self._redis.key("events", user_id)

    def _route(self, channel: str, body: str) -> None:
        if (take := self._controls.get(channel)) is not None:
            take(body)
            return
        message = json.loads(body)
        user_id = str(message.get("user_id", ""))
        if channel != self._channel(user_id):
            self.metrics["misrouted"] += 1
            _LOG.error("an event of another user came on %s and was dropped", channel)
            return
        for socket in tuple(self._sockets.get(user_id, ())):
            if socket.user_id != user_id:
                self.metrics["misrouted"] += 1
            elif message.get("type") == "catch_up":
                socket.catch_up()
            else:
                socket.offer_event(message)

    def _revoke(self, token_id: str) -> None:
        for socket in self.sockets:
            if socket.token_id == token_id:
                socket.end(CLOSE_TOKEN, "the token was revoked")

    def _restore(self) -> None:
        for socket in self.sockets:
            socket.catch_up()

    async def _heal(self) -> None:
        """Tell every process which users have events in the database that were never published."""
        pause_s = _HEAL_PAUSE_S
        while self._unpublished:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_HEAL_PAUSE_S)
            for user_id, latest in tuple(self._unpublished.items()):
                nudge = json.dumps({"type": "catch_up", "user_id": user_id})
                with suppress(PlatformError):
                    await self._redis.publish(self._channel(user_id), nudge)
                    if self._unpublished.get(user_id) == latest:  # else one more failed meanwhile
                        del self._unpublished[user_id]
                    self.metrics["healed"] += 1
