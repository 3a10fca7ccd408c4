"""Slots: one worker process claims its share of the services for its life.

A slot is claimed by a lock on a file that the system frees when the process is gone, however it went: the worker that
replaces a dead one takes the dead one's slot, and empties its servers first.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ci_tools.errors import CIToolsError
from ci_tools.model.codec import loads
from ci_tools.model.service import Endpoint, Provider, ServiceKind
from ci_tools.model.worker import Slot
from ci_tools.pytest_plugin.clock import CLOCK

_CLAIM_TIMEOUT_S = 10.0
"""A dead worker's lock is free at once; this is for one that is just being ended."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A slot that is this process's as long as the descriptor is open.

    ``neighbours`` are the other slots: some of their endpoints may lie on servers, or in databases, of this one.
    """

    slot: Slot
    descriptor: int
    was_used: bool
    neighbours: tuple[Slot, ...]

    def exclusive(self, endpoint: Endpoint) -> bool:
        """Whether nobody but this process talks to that server."""
        return all((endpoint.host, endpoint.port) != (other.host, other.port) for other in self._others())

    def owns(self, endpoint: Endpoint) -> bool:
        """Whether the database is this slot's alone, on a server that others may share."""
        return all(endpoint.url != other.url for other in self._others())

    def release(self) -> None:
        """Give the slot back."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)

    def _others(self) -> Iterator[Endpoint]:
        return (endpoint for slot in self.neighbours for endpoint in slot.endpoints)


def claim(slots_path: str) -> Claim:
    """The first free slot of the file, its environment not yet set; UsageError when all are taken."""
    slots = loads(tuple[Slot, ...], Path(slots_path).read_text(encoding="utf-8"), where=slots_path)
    deadline = CLOCK.monotonic() + _CLAIM_TIMEOUT_S
    while True:
        for slot in slots:
            descriptor = _lock(f"{slots_path}.{slot.number}.lock")
            if descriptor is not None:
                mark = Path(f"{slots_path}.{slot.number}.used")
                neighbours = tuple(other for other in slots if other is not slot)
                claimed = Claim(slot=slot, descriptor=descriptor, was_used=mark.exists(), neighbours=neighbours)
                mark.touch()
                return claimed
        if CLOCK.monotonic() > deadline:
            what = f"{slots_path} has {len(slots)} slot(s), and each is locked by a living worker"
            raise pytest.UsageError(f"{what}; run no more workers than there are slots")
        CLOCK.sleep(_POLL_S)


def empty(claimed: Claim) -> None:
    """Take away what the slot's last worker left in databases of this slot alone; UsageError when they do not answer.

    What slots share is left as it is: other workers are at work there.
    """
    for endpoint in claimed.slot.endpoints:
        if not claimed.owns(endpoint):
            continue
        try:
            match endpoint.kind:
                case ServiceKind.REDIS:
                    _empty_redis(endpoint, is_ours=claimed.exclusive(endpoint))
                case ServiceKind.POSTGRES:
                    _empty_postgres(endpoint)
        except (OSError, CIToolsError) as error:
            what = f"{endpoint.kind} on {endpoint.masked_url} cannot be emptied for the worker that takes slot"
            raise pytest.UsageError(f"{what} {claimed.slot.number} over: {error}") from error


def _empty_redis(endpoint: Endpoint, *, is_ours: bool) -> None:
    """All databases of a server that nobody else talks to; of an adopted one, and of a shared one, the slot's alone."""
    from ci_tools.services import cleaning  # noqa: PLC0415 - only a worker that takes over needs it

    cleaning.empty_redis(endpoint, whole_server=is_ours and endpoint.provenance.provider is not Provider.ADOPTED)


def _empty_postgres(endpoint: Endpoint) -> None:
    """The slot's database, whoever is connected to it still: a backend outlives its killed client."""
    from ci_tools.services import databases  # noqa: PLC0415 - as above

    databases.recreate(endpoint)


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
