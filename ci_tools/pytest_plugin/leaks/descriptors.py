"""Sockets, servers, connections, files and raw descriptors that outlive the test or fixture that opened them.

Nothing is listed: whatever opens one from Python is noted with its owner, and only what an owner that is over has opened
is asked whether it is still open. What C code opens for Python is noted in ``native.py``; what it opens by itself is not seen.
"""

import contextlib
import gc
import os
import socket
import stat
import subprocess
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.native import NativeNotes
from ci_tools.pytest_plugin.leaks.opened import (
    CONNECTION,
    DESCRIPTOR,
    FILE,
    LoopOpened,
)
from ci_tools.pytest_plugin.leaks.openings import OpeningNotes
from ci_tools.pytest_plugin.owners import Made, Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.reach import forgetful_files, holder_of, is_stored, keeper_of

if TYPE_CHECKING:
    import asyncio

KINDS = (CONNECTION, FILE, DESCRIPTOR)
SETTLE_S = 0.02
"""A connection that was told to close gets this long, once per loop and only where one is open."""

_Found = tuple[Made, Owner]


class DescriptorGuard(Guard):
    """Notes who opens what, and looks when the owner's life is over or its loop is about to be closed."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._held: list[object] = []
        self._openings = OpeningNotes(ownership, findings, project)
        self._native = NativeNotes(ownership, findings, project)
        if findings.is_on(CONNECTION):
            ownership.before_close(self._look_before_close)

    def install(self) -> None:
        """Note every opening from now on."""
        self._openings.install()
        gc.callbacks.append(self._hold)
        self._native.install()

    def remove(self) -> None:
        """Put everything back."""
        self._native.remove()
        if self._hold in gc.callbacks:
            gc.callbacks.remove(self._hold)
        self._openings.remove()

    def note_modules(self) -> None:
        """Note what opens connections by itself as soon as somebody has loaded it."""
        self._openings.note_modules()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down nothing of the test may be open, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN:
            found = self._open()
            if found:
                kept = [made for made, owner in found if self._is_kept(made, owner, item)]
                numbers = {_number_of(made) for made in kept}  # a raw descriptor that one of these has been given is theirs
                self._report([one for one in found if one[0] not in kept and one[0].thing.descriptor not in numbers])
        return error

    def look_at_loops(self, item: pytest.Item) -> None:
        """Look at what open loops work for. Before tasks are looked at: many a task ends with its connection."""
        owners = [owner for owner in self._ownership.over() if owner.made]
        if self._open():
            for loop in tuple(self._ownership.loops):
                if not loop.is_closed() and not loop.is_running():
                    self._look_at_loop(loop, owners, item)

    def _hold(self, phase: str, _: dict[str, int]) -> None:
        """Keep what is open over a collection: what nobody closed is found, whenever the collector comes by."""
        if self._held:
            self._held.clear()
        if phase == "start" and self._ownership.may_have_made():  # a small test sees two collections
            owners = [owner for owner in (*self._ownership.over(), self._ownership.maker()) if owner is not None and owner.made]
            opened = [made.thing for owner in owners for made in owner.made if made.kind in KINDS]
            self._held = [thing for one in opened if one.ref is not None and (thing := one.ref()) is not None]

    # Looking

    def _open(self) -> list[_Found]:
        return [(made, owner) for owner in self._ownership.over() if owner.made for made in owner.made if _is_open(made)]

    def _look_before_close(self, loop: "asyncio.AbstractEventLoop") -> None:
        """What the loop works for dies with it, unsaid: no fixture of that loop is left to close it."""
        owners = [owner for owner in self._ownership.ending_here() if owner.made]
        if owners:
            self._look_at_loop(loop, owners, None)

    def _look_at_loop(self, loop: "asyncio.AbstractEventLoop", owners: Sequence[Owner], item: pytest.Item | None) -> None:
        if not _open_of(owners, loop):
            return
        import asyncio  # noqa: PLC0415 - loaded already

        for pause_s in (0, 0, SETTLE_S):  # one that has been closed is gone after a turn or two
            loop.run_until_complete(asyncio.sleep(pause_s))
            found = _open_of(owners, loop)
            if not found:
                return
        leaks = [(made, owner) for made, owner in found if not self._is_kept(made, owner, item)]
        if leaks:
            self._report(leaks, loop)
            loop.run_until_complete(asyncio.sleep(0))

    def _is_kept(self, made: Made, owner: Owner, item: pytest.Item | None) -> bool:
        """Whether somebody who lives longer keeps it on purpose: a fixture, a library, a module's own client."""
        if made.thing.ref is None:
            number = made.thing.descriptor
            return is_stored(made.site, lambda value: type(value) is int and value == number, self._ownership.living_values())
        thing = made.thing.ref()
        if thing is None:
            return False
        if holder_of(thing, self._ownership.living_values()):
            return True
        # A module's client may serve the next test; not when its loop is closed now.
        return item is not None and bool(keeper_of(thing, forgetful_files(item, owner, made.site)))

    def _is_made_by_project(self, made: Made) -> bool:
        return any(self._project.holds(code.co_filename) for code, _ in made.site)

    def _report(self, found: Sequence[_Found], loop: "asyncio.AbstractEventLoop | None" = None) -> None:
        # A file before its descriptor: it is told once, by its name.
        found = sorted(found, key=lambda one: one[0].kind == DESCRIPTOR)
        ends = {id(made): made.thing.ends() for made, _ in found}
        dialled = {here for here, _ in ends.values() if here}
        for made, owner in found:
            owner.made.remove(made)
            here, there = ends[id(made)]
            # The other end of a connection that is named already; of the two, the one that was accepted.
            if there in dialled and here in {peer for _, peer in ends.values()} and not self._is_made_by_project(made):
                _close(made, loop)
                continue
            if not made.thing.is_open:  # closed together with another one, as a file is with its descriptor
                continue
            created, stack = frames_of_site(made.site, self._project)
            leak = Leak(
                kind=made.kind,
                what=made.thing.describe(self._project.relative),
                created=created,
                created_stack=stack,
                owner=owner.label,
                hint=made.thing.hint,
            )
            self._findings.add(leak, partial(_close, made, loop))


class LoopGuard(Guard):
    """Asks for what open loops work for, before all other leaks."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, descriptors: DescriptorGuard) -> None:
        self._descriptors = descriptors

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down."""
        if phase is Phase.TEARDOWN:
            self._descriptors.look_at_loops(item)
        return error


def _is_open(made: Made) -> bool:
    return made.kind in KINDS and made.thing.is_open


def _open_of(owners: Sequence[Owner], loop: "asyncio.AbstractEventLoop") -> list[_Found]:
    """What these owners have opened and this loop works for."""
    watched = _watched(loop)
    return [
        (made, owner)
        for owner in owners
        for made in owner.made
        if made.kind in (CONNECTION, FILE)
        and made.thing.is_open
        and ((made.kind == CONNECTION and made.thing.descriptor in watched) or _works_for(made, loop))
    ]


def _number_of(made: Made) -> int:
    """The descriptor of what has one; -1 where it does not say."""
    if made.thing.descriptor >= 0:
        return int(made.thing.descriptor)
    try:
        return int(made.thing.ref().fileno())
    except Exception:  # noqa: BLE001 - anything may have happened to it
        return -1


def _watched(loop: "asyncio.AbstractEventLoop") -> frozenset[int]:
    """The descriptors that the loop waits for; none where it does not say (Windows' proactor, uvloop)."""
    selector = getattr(loop, "_selector", None)
    books = selector.get_map() if selector is not None and hasattr(selector, "get_map") else None
    return frozenset(books or ())


def _works_for(made: Made, loop: "asyncio.AbstractEventLoop") -> bool:
    """Whether it hangs on one of the loop's transports, which is not reading just now."""
    thing = made.thing.ref() if made.thing.ref is not None else None
    if made.kind == FILE:
        if not _is_pipe(_number_of(made)) or (
            made.site and made.site[0][0].co_filename == subprocess.__file__
        ):  # a child's is told with it
            return False
        thing = _transport_of(thing)
    if made.kind == FILE or isinstance(made.thing, LoopOpened):
        return thing is not None and getattr(thing, "_loop", loop) is loop  # uvloop's do not say whose: one loop runs a test
    if not isinstance(thing, socket.socket) or thing.gettimeout() != 0:
        return False
    return getattr(_transport_of(thing), "_loop", None) is loop


def _is_pipe(number: int) -> bool:
    with contextlib.suppress(OSError):
        return number >= 0 and stat.S_ISFIFO(os.fstat(number).st_mode)
    return False


def _transport_of(thing: object) -> Any:  # noqa: ANN401 - a transport of any loop
    for referrer in gc.get_referrers(thing):
        # From Python 3.13 on an object's attributes may have become a dictionary of their own, which is what refers then.
        for one in gc.get_referrers(referrer) if type(referrer) is dict else (referrer,):
            if hasattr(one, "get_extra_info") and (
                hasattr(one, "abort") or hasattr(one, "get_protocol")
            ):  # a pipe's has no abort
                return one
    return None


def _close(made: Made, loop: "asyncio.AbstractEventLoop | None") -> str:
    """End it the way its loop does, so that the loop's books are right; else close it."""
    thing = made.thing.ref() if made.thing.ref is not None else None
    if loop is not None and made.kind == FILE:
        transport = _transport_of(thing)
        if transport is not None:  # of a pipe
            transport.close()
            return ""
    if loop is None or not isinstance(thing, socket.socket):
        return str(made.thing.close())
    transport = _transport_of(thing)
    if transport is not None:
        transport.abort()
        return ""
    server = _server_of(loop, made.thing.descriptor)
    if server is not None:
        server.close()
        return ""
    loop.remove_reader(made.thing.descriptor)
    loop.remove_writer(made.thing.descriptor)
    return str(made.thing.close())


def _server_of(loop: "asyncio.AbstractEventLoop", descriptor: int) -> Any:  # noqa: ANN401 - asyncio.Server
    books = loop._selector.get_map()  # type: ignore[attr-defined] # noqa: SLF001 - nothing public leads from a socket to its server
    key = books.get(descriptor)
    arguments = [argument for handle in (key.data if key else ()) for argument in getattr(handle, "_args", None) or ()]
    return next((one for one in arguments if hasattr(one, "sockets") and hasattr(one, "is_serving")), None)
