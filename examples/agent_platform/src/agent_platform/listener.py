"""The listener: one Redis subscription of this process that comes back by itself after an outage."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from agent_platform.errors import UnavailableError
from agent_platform.redis_manager import RedisManager

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

_LOG = logging.getLogger(__name__)

_CONFIRM_TIMEOUT_S = 2.0
_SHORTEST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


class ChannelListener:
    """Hands each message to ``on_message(channel, body)``; after a lost connection is back, calls ``on_restored()``."""

    def __init__(
        self, *, redis_manager: RedisManager, on_message: Callable[[str, str], None], on_restored: Callable[[], None]
    ) -> None:
        self._redis = redis_manager
        self._on_message = on_message
        self._on_restored = on_restored
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._pubsub: PubSub | None = None
        self._healthy = False
        self._was_lost = False
        self._task: asyncio.Task[None] | None = None

    @property
    def healthy(self) -> bool:
        """Whether the connection stands and Redis confirmed what was wanted when it was made."""
        return self._healthy

    @property
    def channels(self) -> frozenset[str]:
        """What is listened to."""
        return frozenset(self._wanted)

    async def start(self, *channels: str) -> None:
        """Listen to ``channels``; returns once Redis confirmed them."""
        self._wanted = {channel: asyncio.get_running_loop().create_future() for channel in channels}
        self._task = asyncio.create_task(self._listen_forever(), name="redis listener")
        for channel in channels:
            await self._confirmed(channel)

    async def close(self) -> None:
        """Stop listening."""
        task, self._task = self._task, None
        self._wanted.clear()
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def subscribe(self, channel: str) -> None:
        """Listen to one more channel; returns once Redis confirmed it, UnavailableError if it does not."""
        if channel not in self._wanted:
            self._wanted[channel] = asyncio.get_running_loop().create_future()
            if self._pubsub is not None:
                with suppress(RedisError, OSError):  # then the connection is lost, and the new one subscribes to all
                    await self._pubsub.subscribe(channel)
        await self._confirmed(channel)

    async def unsubscribe(self, channel: str) -> None:
        """Listen to one channel less."""
        if self._wanted.pop(channel, None) is not None and self._pubsub is not None:
            with suppress(RedisError, OSError):
                await self._pubsub.unsubscribe(channel)

    async def _confirmed(self, channel: str) -> None:
        future = self._wanted.get(channel)
        if future is None:
            return
        done, _ = await asyncio.wait({future}, timeout=_CONFIRM_TIMEOUT_S)
        if not done:
            self._wanted.pop(channel, None)
            raise UnavailableError(f"redis did not confirm the subscription within {_CONFIRM_TIMEOUT_S:.0f} s", hint="try again")

    async def _listen_forever(self) -> None:
        pause_s = _SHORTEST_PAUSE_S
        while True:
            try:
                async with self._redis.open_pubsub() as pubsub:
                    asked = frozenset(self._wanted)
                    async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                        await pubsub.subscribe(*asked)
                    self._pubsub = pubsub
                    if late := self.channels - asked:  # wanted while the others were asked for
                        await pubsub.subscribe(*late)
                    pause_s = _SHORTEST_PAUSE_S
                    async for message in pubsub.listen():
                        self._take(message["type"], str(message["channel"]), message["data"])
            except (RedisError, OSError) as error:
                _LOG.warning("the listener lost redis at %s (%s), it tries again", self._redis.address, type(error).__name__)
            finally:
                self._lose()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _lose(self) -> None:
        self._pubsub = None
        self._healthy = False
        self._was_lost = True
        for channel, future in self._wanted.items():
            if future.done():
                self._wanted[channel] = future.get_loop().create_future()

    def _take(self, kind: str, channel: str, body: str) -> None:
        if kind == "message":
            try:
                self._on_message(channel, body)
            except Exception:  # noqa: BLE001 - one bad message must not end the listener for everybody
                _LOG.exception("a message on %s was not understood", channel)
        elif kind == "subscribe" and (future := self._wanted.get(channel)) is not None and not future.done():
            future.set_result(None)
            if not self._healthy and all(_is_confirmed(wanted) for wanted in self._wanted.values()):
                self._healthy = True
                if self._was_lost:
                    self._on_restored()


def _is_confirmed(future: asyncio.Future[None]) -> bool:
    return future.done() and not future.cancelled()
