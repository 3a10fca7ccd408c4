"""Leases: the right to use a part of somebody else's Redis, as long as a heartbeat renews it. Two runs never share one."""

import threading
from typing import TYPE_CHECKING

from redis.exceptions import LockError, RedisError

if TYPE_CHECKING:
    import redis
    from redis.lock import Lock

LEASE_S = 30.0
LEASE_KEY = "ci-tools:lease:{name}"
"""Where a lease is written, in database 0: SET NX with a random token, and a time to live that the heartbeat renews."""
MARK_KEY = "ci-tools:used:{name}"
"""Where it is written, without a time to live, until when the lease stands of a part that is in use: the server's seconds."""


class Leases:
    """What one run holds on one server. The heartbeat begins with the first lease and ends with ``stop``."""

    def __init__(self, registry: "redis.Redis") -> None:
        self._registry = registry
        self._held: dict[str, Lock] = {}
        self._marked: set[str] = set()
        self._lost: set[str] = set()
        self._stopped = threading.Event()
        self._heart: threading.Thread | None = None

    def __contains__(self, name: str) -> bool:
        return name in self._held

    def acquire(self, name: str) -> bool:
        """Whether the lease of that name is ours now; False when another run has it. RedisError as the client raises it."""
        lease = self._registry.lock(LEASE_KEY.format(name=name), timeout=LEASE_S, blocking=False, thread_local=False)
        if not lease.acquire():
            return False
        self._held[name] = lease
        if self._heart is None:
            self._heart = threading.Thread(target=self._renew, name="ci-tools-lease-heartbeat", daemon=True)
            self._heart.start()
        return True

    def mark(self, name: str) -> None:
        """Write down that what will be found there is this lease's, should we be killed; renewed with the lease."""
        self._marked.add(name)
        self._write_mark(name)

    def marked_until(self, name: str) -> float | None:
        """Until when the lease stood under which this part was last used; None when it was given back as it should be."""
        mark = self._registry.get(MARK_KEY.format(name=name))
        return float(mark) if isinstance(mark, str) and mark.isdecimal() else None

    def release(self, name: str) -> None:
        """Give it back, and its mark. RedisError when it is not ours any more, or nobody answers."""
        if name in self._marked:
            self._marked.remove(name)
            self._registry.delete(MARK_KEY.format(name=name))
        self._held.pop(name).release()

    def is_ours(self, name: str) -> bool:
        """Whether it was ours all the time and is now."""
        return name not in self._lost and bool(self._held[name].owned())

    def stop(self) -> None:
        """End the heartbeat; the leases stay until their time is over or they are released."""
        self._stopped.set()
        if self._heart is not None:
            self._heart.join(LEASE_S)

    def _renew(self) -> None:
        while not self._stopped.wait(LEASE_S / 3):
            for name, lease in list(self._held.items()):
                try:
                    lease.reacquire()
                    if name in self._marked:
                        self._write_mark(name)
                except LockError:
                    self._lost.add(name)
                except RedisError:
                    continue  # out of reach for now; the lease outlives two missed heartbeats

    def _write_mark(self, name: str) -> None:
        now, _ = self._registry.time()
        self._registry.set(MARK_KEY.format(name=name), int(now + LEASE_S))
