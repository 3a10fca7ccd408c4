"""Event loops: made and left open, and what belongs to one loop and was used in another."""

import contextlib
import re
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.failures import Project, frames_of
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Made, Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.position import test_id_of
from ci_tools.pytest_plugin.reach import forgetful_files, holder_of, keeper_of

if TYPE_CHECKING:
    import asyncio

KIND = "loop"

_HINT = "close() it, or leave it to asyncio.run() or to asyncio.Runner with `with`"
_HINT_OF_ANOTHER = (
    "make it in the loop that uses it: give fixture and test the same loop_scope, or let the fixture's scope be the test's"
)
_FOREIGN = re.compile(r"to a different (?:event )?loop|Event loop is closed")
_MAKERS = ("asyncio", "uvloop")


class LoopLeakGuard(Guard):
    """Notes which loops the project's own code makes, and looks whether they are closed when their owner's life is over."""

    begins_in = (Phase.SETUP,)
    ends_in = (Phase.CALL, Phase.TEARDOWN)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._known: set[str] = set()
        self._restore = contextlib.ExitStack()

    def note_modules(self) -> None:
        """Note makers as soon as somebody has loaded them."""
        if len(self._known) < len(_MAKERS):
            for name in _MAKERS:
                module = sys.modules.get(name)
                if name not in self._known and hasattr(module, "new_event_loop"):
                    self._known.add(name)
                    self._install(module, "new_event_loop")
                    if name == "asyncio":
                        self._install_runners()
                        self._install_class()

    def remove(self) -> None:
        """Put asyncio and uvloop back."""
        self._restore.close()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down no loop of the test is open; an error of a foreign loop is told what is whose."""
        if isinstance(error, (RuntimeError, ValueError)) and _FOREIGN.search(str(error)):
            self._explain(item, error)
        if phase is Phase.TEARDOWN:
            for owner in self._ownership.over():
                for made in tuple(owner.made):
                    if made.kind == KIND:
                        self._look(made, owner, item)
        return error

    def _install(self, module: Any, name: str) -> None:  # noqa: ANN401 - a module
        original = getattr(module, name)
        note, holds = self._note, self._project.holds
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def make() -> "asyncio.AbstractEventLoop":
            loop: asyncio.AbstractEventLoop = original()
            if holds(get_frame(1).f_code.co_filename):
                note(weakref.ref(loop))
            return loop

        setattr(module, name, make)
        self._restore.callback(setattr, module, name, original)

    def _install_class(self) -> None:
        import asyncio  # noqa: PLC0415 - loaded already

        kind: Any = asyncio.SelectorEventLoop
        original = kind.__init__
        note, holds = self._note, self._project.holds
        get_frame = sys._getframe  # noqa: SLF001 - as above

        def start(loop: object, selector: object = None) -> None:  # for each function's loop: as little as can be
            original(loop, selector)
            if holds(get_frame(1).f_code.co_filename):
                note(weakref.ref(loop))

        self._restore.callback(self._ownership.replace(kind, "__init__", start))

    def _install_runners(self) -> None:
        import asyncio  # noqa: PLC0415 - loaded already

        original: Any = asyncio.Runner.__init__
        note, holds = self._note, self._project.holds
        get_frame = sys._getframe  # noqa: SLF001 - as above

        def start(runner: Any, **options: Any) -> None:  # noqa: ANN401 - Runner's own signature
            original(runner, **options)
            if holds(get_frame(1).f_code.co_filename):
                note(_loop_of(runner))

        asyncio.Runner.__init__ = start  # type: ignore[method-assign,assignment] # its loop is made later, by asyncio's own code
        self._restore.callback(setattr, asyncio.Runner, "__init__", original)

    def _note(self, ask: Callable[[], object]) -> None:
        owner, site = self._ownership.making(depth=4)
        if owner is not None:
            owner.keep(Made(KIND, ask, site))

    def _look(self, made: Made, owner: Owner, item: pytest.Item) -> None:
        loop = made.thing()
        if loop is None or loop.is_closed() or loop.is_running():
            return
        if any(loop is value for value in self._ownership.living_values()) or holder_of(loop, self._ownership.living_values()):
            return
        if keeper_of(loop, forgetful_files(item, owner, made.site)):
            return
        created, stack = frames_of_site(made.site, self._project)
        what = f"event loop {type(loop).__name__} is not closed"
        leak = Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINT)
        self._findings.add(leak, partial(_close, loop))

    def _explain(self, item: pytest.Item, error: Exception) -> None:
        own, deepest = frames_of(error.__traceback__, self._project)
        values = {owner.label: owner.value for owner in self._ownership.fixtures.values() if owner.value is not None}
        for thing, name in _bound(error.__traceback__):
            fixture = next((label for label, value in values.items() if value is thing or holder_of(thing, [value])), "")
            whose = f", of {fixture}," if fixture else ""
            state = " that is closed" if thing._loop.is_closed() else ""  # noqa: SLF001 - asyncio's objects have no other way to say it
            what = f"{type(thing).__name__} {name!r}{whose} belongs to another event loop{state}, and was used here"
            created = own or deepest
            self._findings.add(Leak(kind=KIND, what=what, created=created, owner=test_id_of(item), hint=_HINT_OF_ANOTHER))
            return


def _loop_of(runner: Any) -> Callable[[], object]:  # noqa: ANN401 - asyncio.Runner
    """Asks for the loop that the runner is going to make, also when the runner itself is gone by then."""
    known, loops = weakref.ref(runner), list[weakref.ref[object]]()

    def begin() -> None:
        alive = known()
        if alive is not None:
            type(alive)._lazy_init(alive)  # noqa: SLF001 - called by its run() and get_loop(), and nothing else tells
            if not loops:
                loops.append(weakref.ref(alive._loop))  # noqa: SLF001 - as above

    if hasattr(type(runner), "_lazy_init"):
        runner._lazy_init = begin  # noqa: SLF001 - of this one alone
    return lambda: loops[0]() if loops else None


def _bound(traceback: TracebackType | None) -> Iterator[tuple[Any, str]]:
    """What the frames of an error hold that is bound to a loop which does not run, innermost first, with its name there."""
    import asyncio  # noqa: PLC0415 - loaded already

    frames = []
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    for frame in reversed(frames):
        for name, value in tuple(frame.f_locals.items()):
            for thing, called in ((value, name), *((inner, f"{name}.{key}") for key, inner in _parts(value))):
                loop = getattr(thing, "_loop", None)
                if isinstance(loop, asyncio.AbstractEventLoop) and loop is not thing and _is_of_another(thing, frame):
                    yield thing, called


def _parts(value: object) -> list[tuple[str, object]]:
    return [(key, inner) for key, inner in vars(value).items() if key != "_loop"][:50] if hasattr(value, "__dict__") else []


def _is_of_another(thing: Any, frame: FrameType) -> bool:  # noqa: ANN401 - any object with a loop
    """Whether its loop is not the one that ran this frame: that of the task which stands in it, as far as one can tell."""
    get_coro = getattr(thing, "get_coro", None)
    return get_coro is None or getattr(get_coro(), "cr_code", None) is not frame.f_code


def _close(loop: Any) -> str:  # noqa: ANN401 - a loop of any kind
    try:
        loop.close()
    except Exception as error:  # noqa: BLE001 - a loop of a library may raise anything
        return f"it could not be closed: {error}"
    return ""
