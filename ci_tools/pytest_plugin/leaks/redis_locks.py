"""Locks of redis-py, sync and asyncio, that outlive who took them; and who began to listen, which ``services`` asks.

A lock is a leak when its server still has it. Of one on this worker's own server we ask over a connection of our own, since a
test's client may be closed and asyncio's has no loop any more; of any other a sync lock is asked itself, and of asyncio's
nothing is known, so nothing is said.
"""

import contextlib
import inspect
import sys
import weakref
from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.model.service import Endpoint, ServiceKind
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.traces import HINTS, LOCK, SUBSCRIPTION
from ci_tools.pytest_plugin.owners import Made, Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership, unowned
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.reach import holder_of, keeper_of

_USUAL_PORT = 6379
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class LockGuard(Guard):
    """Notes who takes a lock of redis-py or begins to listen, and looks whether the lock was given back in time."""

    begins_in = (Phase.SETUP,)
    ends_in = (Phase.TEARDOWN,)

    def __init__(
        self,
        ownership: Ownership,
        findings: Findings,
        project: Project,
        provisioning: Provisioning,
        say_asked: Callable[[str], None] | None,
    ) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._provisioning = provisioning
        self._say_asked = say_asked
        self._known: set[str] = set()
        self._restore = contextlib.ExitStack()

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Note as soon as somebody has loaded it."""
        if "redis.lock" in sys.modules and "redis.lock" not in self._known:
            self._known.add("redis.lock")
            self._install(sys.modules["redis.lock"].Lock)
            self._install_listener(sys.modules["redis.client"].PubSub)
        if "redis.asyncio.lock" in sys.modules and "redis.asyncio.lock" not in self._known:
            self._known.add("redis.asyncio.lock")
            self._install(sys.modules["redis.asyncio.lock"].Lock)
            self._install_listener(sys.modules["redis.asyncio.client"].PubSub)

    def remove(self) -> None:
        """Put redis-py back as it was."""
        self._restore.close()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down nothing of the test holds a lock, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN and self._known and self._findings.is_on(LOCK):
            taken = [
                (made, owner)
                for owner in self._ownership.over()
                for made in owner.made
                if made.kind == LOCK and getattr(made.thing.local, "token", None) is not None
            ]
            for made, owner in taken:
                self._judge(made, owner, item)
        return error

    def _install(self, kind: Any) -> None:  # noqa: ANN401 - redis-py's class
        original, note = kind.acquire, self._note

        def acquire(lock: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the original's own signature
            is_held = original(lock, *arguments, **options)
            if is_held:
                note(lock)
            return is_held

        async def acquire_when_awaited(lock: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as above
            is_held = await original(lock, *arguments, **options)
            if is_held:
                note(lock)
            return is_held

        kind.acquire = acquire_when_awaited if inspect.iscoroutinefunction(original) else acquire
        self._restore.callback(setattr, kind, "acquire", original)

    def _install_listener(self, kind: Any) -> None:  # noqa: ANN401 - as above
        original, ownership = kind.__init__, self._ownership

        def start(listener: Any, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as above
            original(listener, *arguments, **options)
            owner, site = ownership.making()
            if owner is not None:
                owner.keep(Made(SUBSCRIPTION, weakref.ref(listener), site))

        kind.__init__ = start
        self._restore.callback(setattr, kind, "__init__", original)

    def _note(self, lock: object) -> None:
        owner, site = self._ownership.making(depth=4)
        if owner is not None:
            owner.keep(Made(LOCK, lock, site))

    @unowned()
    def _judge(self, made: Made, owner: Owner, item: pytest.Item) -> None:
        """The server must have it too: it may have expired, or somebody has taken it away."""
        with self._asked(made.thing) as lock:
            if lock is None or not _is_held(lock):
                return
            if holder_of(made.thing, self._ownership.living_values()) or keeper_of(made.thing, {str(item.path)}):
                return  # somebody who lives longer gives it back
            created, stack = frames_of_site(made.site, self._project)
            name = made.thing.name
            what = f"the lock {name if isinstance(name, str) else bytes(name).decode(errors='replace')!s} in redis is still held"
            leak = Leak(kind=LOCK, what=what, created=created, created_stack=stack, owner=owner.label, hint=HINTS[LOCK])
            self._findings.add(leak, partial(_release, lock))

    @contextlib.contextmanager
    def _asked(self, lock: Any) -> Generator[Any]:  # noqa: ANN401 - redis-py's
        """The lock to ask: its like on a connection of our own, else itself; None where it can only be awaited."""
        endpoint = self._endpoint_of(lock)
        if endpoint is None:
            yield None if inspect.iscoroutinefunction(lock.release) else lock
            return
        import redis  # noqa: PLC0415 - loaded already

        from ci_tools.pytest_plugin.leaks.redis_traces import connect  # noqa: PLC0415 - it is imported where it is used

        with connect(endpoint) as client:
            like = redis.lock.Lock(client, lock.name, thread_local=False)
            like.local.token = lock.local.token
            yield like
        if self._say_asked is not None:
            self._say_asked(ServiceKind.REDIS)

    def _endpoint_of(self, lock: Any) -> Endpoint | None:  # noqa: ANN401 - as above
        """Where the lock is, if that is this worker's own server."""
        endpoint = self._provisioning.counted(ServiceKind.REDIS)
        told = getattr(getattr(lock.redis, "connection_pool", None), "connection_kwargs", None)
        if endpoint is None or not isinstance(told, dict):
            return None
        path, host = told.get("path"), told.get("host", "localhost")
        is_here = (
            path == endpoint.socket_path
            if path
            else _is_same(host, endpoint.host) and told.get("port", _USUAL_PORT) == endpoint.port
        )
        return replace(endpoint, database=str(told.get("db") or 0)) if is_here else None


def _is_same(one: object, other: str) -> bool:
    return one == other or (one in _LOOPBACK and other in _LOOPBACK)


def _is_held(lock: Any) -> bool:  # noqa: ANN401 - redis-py's
    try:
        return bool(lock.owned())
    except Exception:  # noqa: BLE001 - a server that is gone holds nothing, and who cannot be asked cannot be accused
        return False


def _release(lock: Any) -> str:  # noqa: ANN401 - as above
    try:
        lock.release()
    except Exception as error:  # noqa: BLE001 - it may have expired, or its client may be closed
        return f"it could not be released: {error}"
    return ""
