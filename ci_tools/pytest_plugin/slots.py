"""Slots: one worker process claims its share of the services for its life.

A slot is claimed by a lock on a file that the system frees when the process is gone, however it went: the worker that
replaces a dead one takes the dead one's slot, and empties its servers first.
"""

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci_tools.errors import CIToolsError
from ci_tools.model.codec import loads
from ci_tools.model.service import Endpoint, Provider, ServiceKind
from ci_tools.model.worker import Slot

_CLAIM_TIMEOUT_S = 10.0
"""A dead worker's lock is free at once; this is for one that is just being ended."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A slot that is this process's as long as the descriptor is open. ``is_shared`` says, by endpoint, who else is there."""

    slot: Slot
    descriptor: int
    was_used: bool
    shared: frozenset[tuple[str, int]]

    def exclusive(self, endpoint: Endpoint) -> bool:
        """Whether nobody but this process talks to that server."""
        return (endpoint.host, endpoint.port) not in self.shared

    def release(self) -> None:
        """Give the slot back."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


def claim(slots_path: str) -> Claim:
    """The first free slot of the file; UsageError when all are taken. Its servers are empty, and its environment is set."""
    slots = loads(tuple[Slot, ...], Path(slots_path).read_text(encoding="utf-8"), where=slots_path)
    places = [(endpoint.host, endpoint.port) for slot in slots for endpoint in slot.endpoints]
    shared = frozenset(place for place in places if places.count(place) > 1)
    deadline = time.monotonic() + _CLAIM_TIMEOUT_S
    while True:
        for slot in slots:
            descriptor = _lock(f"{slots_path}.{slot.number}.lock")
            if descriptor is not None:
                mark = Path(f"{slots_path}.{slot.number}.used")
                claimed = Claim(slot=slot, descriptor=descriptor, was_used=mark.exists(), shared=shared)
                mark.touch()
                return claimed
        if time.monotonic() > deadline:
            what = f"{slots_path} has {len(slots)} slot(s), and each is locked by a living worker"
            raise pytest.UsageError(f"{what}; run no more workers than there are slots")
        time.sleep(_POLL_S)


def empty(claimed: Claim) -> None:
    """Take away what the slot's last worker left on servers of ours; UsageError when they do not answer."""
    from ci_tools.services import resp  # noqa: PLC0415 - only a worker that takes over needs it

    for endpoint in claimed.slot.endpoints:
        if endpoint.kind is not ServiceKind.REDIS or endpoint.provenance.provider is Provider.ADOPTED:
            continue
        try:
            with resp.connect_tcp(endpoint.host, endpoint.port, timeout_s=5.0) as connection:
                if endpoint.password:
                    connection.ask("AUTH", endpoint.password)
                if claimed.exclusive(endpoint):
                    connection.ask("FLUSHALL")
                else:
                    connection.ask("SELECT", endpoint.database or "0")
                    connection.ask("FLUSHDB")
        except (OSError, resp.RespError, CIToolsError) as error:
            what = f"redis on {endpoint.masked_url} cannot be emptied for the worker that takes slot {claimed.slot.number} over"
            raise pytest.UsageError(f"{what}: {error}") from error


if sys.platform == "win32":
    import msvcrt

    def _lock(path: str) -> int | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

else:
    import fcntl

    def _lock(path: str) -> int | None:
        """A record lock, not flock(2): a forked child that outlives us must not keep our slot."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor
