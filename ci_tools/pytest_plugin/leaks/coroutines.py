"""Coroutines that nobody awaits, async generators that nobody closes, timers that nobody cancels."""

import contextlib
import gc
import sys
import warnings
import weakref
from collections.abc import Sequence
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.hollow import ACCUSED
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import GeneratorRecord, Made, Owner, Site, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.reach import holder_of, keeper_of

if TYPE_CHECKING:
    import asyncio

COROUTINE, GENERATOR, TIMER = "coroutine", "generator", "timer"
KINDS = (COROUTINE, GENERATOR, TIMER)

_HINTS = {
    COROUTINE: "await it, or do not call it",
    GENERATOR: "iterate it to its end, or `async with contextlib.aclosing(...)`",
    TIMER: "keep the handle and cancel() it before its owner ends",
}
_MOCK = ("unittest/mock.py", "unittest\\mock.py")
_CONTEXTLIB = contextlib.__file__


class _Waiting(NamedTuple):
    """A generator or a timer that waits, its record, and who made it."""

    kind: str
    thing: Any
    record: Made | GeneratorRecord
    owner: Owner


class CoroutineGuard(Guard):
    """Notes what asyncio keeps for later, and looks when the owner's life is over or its loop is about to be closed."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._dropped: list[tuple[Owner, CodeType, Leak]] = []
        self._is_collecting = False
        self._known_loops = 0
        self._is_own: dict[str, bool] = {}
        self._restore = contextlib.ExitStack()
        ownership.before_close(self._look_before_close)

    def install(self) -> None:
        """Note every coroutine that goes without having run."""
        if not self._findings.is_on(COROUTINE) or not hasattr(warnings, "_warn_unawaited_coroutine"):
            return
        original: Any = warnings._warn_unawaited_coroutine  # noqa: SLF001 - the one place that every version calls
        note = self._note_coroutine

        def warn(coroutine: Any) -> None:  # noqa: ANN401 - a coroutine
            note(coroutine)
            original(coroutine)

        warnings._warn_unawaited_coroutine = warn  # noqa: SLF001 - as above
        self._restore.callback(setattr, warnings, "_warn_unawaited_coroutine", original)
        gc.callbacks.append(self._note_collection)
        self._restore.callback(gc.callbacks.remove, self._note_collection)

    def remove(self) -> None:
        """Put everything back."""
        self._restore.close()

    def note_modules(self) -> None:
        """Note generators and timers of each kind of loop as soon as somebody has loaded it."""
        kinds = self._ownership.loop_kinds
        while self._known_loops < len(kinds):
            kind = kinds[self._known_loops]
            self._known_loops += 1
            if self._findings.is_on(GENERATOR):
                self._install_generators(kind)
            if self._findings.is_on(TIMER):
                self._install_timers(kind, "call_at")
                if not _is_of_python(kind):  # there call_later() is nothing but a call_at() a little later
                    self._install_timers(kind, "call_later")

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down nothing of the test may be waiting, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN:
            over = self._ownership.over()
            said = item.stash.get(ACCUSED, frozenset())
            for owner, code, leak in self._dropped:
                if (owner in over or owner.is_over) and code not in said:
                    self._findings.add(leak)
            self._dropped = [one for one in self._dropped if not (one[0] in over or one[0].is_over)]
            if not self._dropped:
                self._ownership.stirred.discard(self)
            found = _waiting(over)
            if found:
                self._report([one for one in found if not keeper_of(one.thing, {str(item.path)})])
        return error

    # Noting

    def _note_collection(self, phase: str, _: dict[str, int]) -> None:
        self._is_collecting = phase == "start"

    def _note_coroutine(self, coroutine: Any) -> None:  # noqa: ANN401 - a coroutine
        """It went because nobody held it: now, unless the collector found it, which may be long after."""
        owner = None if self._is_collecting else self._ownership.maker()
        code = coroutine.cr_code
        if owner is None or code.co_filename.endswith(_MOCK):  # a mock's own, which tests of callbacks leave by the dozen
            return
        site = self._ownership.site(3)
        if not any(self._project.holds(each.co_filename) for each, _ in site):
            site = ()
        what = f"coroutine {coroutine.__qualname__} was never awaited"
        where = f"{self._project.relative(code.co_filename)}:{code.co_firstlineno}"
        self._ownership.stirred.add(self)
        self._dropped.append((owner, code, self._leak(COROUTINE, f"{what} (defined at {where})", site, owner)))

    def _install_generators(self, kind: Any) -> None:  # noqa: ANN401 - asyncio's class of loops
        original = getattr(kind, "_asyncgen_firstiter_hook", None)
        if original is None:
            return
        ownership, is_own, known = self._ownership, self._holds, self._is_own
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def begin(loop: object, generator: Any) -> None:  # noqa: ANN401 - an async generator
            original(loop, generator)
            filename = generator.ag_code.co_filename
            if not (known[filename] if filename in known else is_own(filename)):  # a call of a function is dear here
                frame = get_frame(1)
                while (filename := frame.f_code.co_filename) == _CONTEXTLIB and frame.f_back is not None:
                    frame = frame.f_back  # it begins the generator of a context manager for whoever enters that
                if not (known[filename] if filename in known else is_own(filename)):
                    return  # one that a library begins for itself is its own affair
            owner = ownership.maker()
            if owner is not None:
                owner.keep_generator(generator, loop, ownership.site_of_new())

        # what a loop hands to sys.set_asyncgen_hooks
        self._restore.callback(ownership.replace(kind, "_asyncgen_firstiter_hook", begin))

    def _install_timers(self, kind: Any, name: str) -> None:  # noqa: ANN401 - asyncio's class of loops
        original = getattr(kind, name)
        ownership, is_own = self._ownership, self._holds
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame
        of_call_later = kind.call_later.__code__ if _is_of_python(kind) else None
        release, on_timeout = _own_callbacks()

        def note(handle: object, depth: int) -> object:
            code = get_frame(depth).f_code
            if code is of_call_later:
                depth += 1
                code = get_frame(depth).f_code
            if is_own(code.co_filename):  # a library's own timers are its own affair
                owner, site = ownership.making(depth + 2)
                # uvloop's call_at() calls call_later(), without a frame between them
                if owner is not None and not (owner.made and owner.made[-1].kind == TIMER and owner.made[-1].thing() is handle):
                    owner.keep(Made(TIMER, weakref.ref(handle), site))
            return handle

        def call_at(loop: object, when: float, callback: Any, *arguments: Any, context: Any = None) -> object:  # noqa: ANN401 - asyncio's own signature
            # The many that asyncio makes for a time limit, and takes back itself, are looked at first: a frame is dear, and
            # so is a call with a star.
            if callback is release:
                (waiter,) = arguments
                return original(loop, when, callback, waiter, context=context)
            if not arguments:
                handle = original(loop, when, callback, context=context)
                return handle if type(callback) is MethodType and callback.__func__ is on_timeout else note(handle, 2)
            return note(original(loop, when, callback, *arguments, context=context), 2)

        def call_later(loop: object, *arguments: Any, **options: Any) -> object:  # noqa: ANN401 - as above
            return note(original(loop, *arguments, **options), 2)

        self._restore.callback(ownership.replace(kind, name, call_at if name == "call_at" else call_later))

    def _holds(self, filename: str) -> bool:
        known = self._is_own.get(filename)
        if known is None:
            known = self._is_own[filename] = self._project.holds(filename)
        return known

    # Looking

    def _look_before_close(self, loop: "asyncio.AbstractEventLoop") -> None:
        owners = self._ownership.ending_here()
        if not _waiting(owners, loop):
            return
        import asyncio  # noqa: PLC0415 - loaded already

        loop.run_until_complete(asyncio.sleep(0))  # one that was dropped is closed in the next turn
        self._report(_waiting(owners, loop), loop)

    def _report(self, found: Sequence[_Waiting], loop: "asyncio.AbstractEventLoop | None" = None) -> None:
        values = self._ownership.living_values()
        for kind, thing, record, owner in found:
            if holder_of(thing, values):
                continue
            owner.drop(record)
            if kind == TIMER:
                callback = getattr(thing, "_callback", None)
                name = f"timer for {getattr(callback, '__qualname__', repr(callback))}" if callback else "timer"
                what = f"{name} has not fired yet"
            else:
                what = f"async generator {thing.__qualname__} was neither finished nor closed"
            self._findings.add(self._leak(kind, what, record.site, owner), partial(_end, thing, loop))

    def _leak(self, kind: str, what: str, site: Site, owner: Owner) -> Leak:
        created, stack = frames_of_site(site, self._project)
        return Leak(kind=kind, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINTS[kind])


def _is_of_python(kind: Any) -> bool:  # noqa: ANN401 - a class of loops
    return isinstance(kind.call_later, FunctionType)  # what Cython makes has a code, too


def _own_callbacks() -> tuple[object, object]:
    """What asyncio calls when the time of its ``wait_for`` or ``timeout`` is up; nothing where it has other names for them."""
    import asyncio  # noqa: PLC0415 - loaded already

    release = getattr(asyncio.tasks, "_release_waiter", _NOBODYS)
    return release, getattr(getattr(asyncio, "Timeout", None), "_on_timeout", _NOBODYS)


_NOBODYS = object()


def _waiting(owners: Sequence[Owner], loop: "asyncio.AbstractEventLoop | None" = None) -> list[_Waiting]:
    """What waits, in this loop alone if one is given: another one of the test's may go on with its own."""
    generators = [
        _Waiting(GENERATOR, generator, record, owner)
        for owner in owners
        for record in list(owner.generators)  # any of them may go meanwhile
        if (generator := record()) is not None and generator.ag_frame is not None and not generator.ag_running
        if loop is None or record.loop_id == id(loop)
    ]
    timers = [
        _Waiting(TIMER, timer, made, owner)
        for owner in owners
        for made in owner.made
        if made.kind == TIMER and _is_waiting(timer := made.thing())
        if loop is None or getattr(timer, "_loop", loop) is loop
    ]
    return [*generators, *timers]


def _is_waiting(timer: Any) -> bool:  # noqa: ANN401 - a handle, or None
    # uvloop's handles do not say whether they have fired; once they have, nothing holds them.
    return timer is not None and not timer.cancelled() and getattr(timer, "_scheduled", True)


def _end(thing: Any, loop: "asyncio.AbstractEventLoop | None") -> str:  # noqa: ANN401 - as above
    if hasattr(thing, "cancel"):
        thing.cancel()
        return ""
    if loop is None:
        return "it could not be closed: its loop is not at hand any more"
    try:
        loop.run_until_complete(thing.aclose())
    except Exception as error:  # noqa: BLE001 - its clean-up may raise anything
        return f"closing it raised {error!r}"
    return ""
