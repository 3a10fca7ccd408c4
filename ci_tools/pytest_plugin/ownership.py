"""Ownership: every asyncio task knows the test or fixture that made it, and where.

One context variable holds the owner; a task inherits it with its context. So a task that a session's pool makes while
a test runs is the pool's, and a thing is a leak only when its owner's life is over. Making a task costs a walk to the
nearest frame of the project (``sites.py``).
"""

import contextlib
import contextvars
import sys
import threading
import weakref
from types import CoroutineType
from typing import TYPE_CHECKING, Any

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.owners import FLOATING, NO_SITE, NOBODY, Owner, Site, TaskRecord
from ci_tools.pytest_plugin.sites import Sites

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_ANYIO, _RUNNER = "anyio._backends._asyncio", "_run_tests_and_fixtures"
"""The coroutine of anyio's plugin that is one task for many tests, and the module that it stands in."""
LEAVING = (KeyboardInterrupt, SystemExit)
"""What leaves a program: asyncio lets it through to whoever runs the loop."""
_PRUNE_LOOPS_FROM = 256
"""From this many records of loops on, those of what is gone are dropped."""

_OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("ci_tools_owner", default=None)


@contextlib.contextmanager
def unowned() -> "Iterator[None]":
    """What is made inside belongs to no test: a service for all of them."""
    token = _OWNER.set(NOBODY)
    try:
        yield
    finally:
        _OWNER.reset(token)


def is_unowned() -> bool:
    """Whether the toolkit itself is at work, on behalf of all tests."""
    return _OWNER.get() is NOBODY


class Ownership(Guard):
    """Follows who runs, and patches asyncio so that its tasks are recorded."""

    ends_in = (Phase.TEARDOWN,)

    def __init__(self, project: Project) -> None:
        self.test: Owner | None = None
        self.fixtures: dict[int, Owner] = {}
        self.ended: list[Owner] = []
        self._sites = Sites(project)
        self.site = self._sites.site
        """Where something is made right now, from so many frames up."""
        self.site_of_new = self._sites.site_of_new
        """The same for what is made by the thousand."""
        self._running: list[Owner] = []
        self._threads: weakref.WeakKeyDictionary[threading.Thread, Owner] = weakref.WeakKeyDictionary()
        self._main_thread = threading.main_thread()
        self._main_ident = self._main_thread.ident
        self._restore = contextlib.ExitStack()
        self._before_close: list[Callable[[asyncio.AbstractEventLoop], None]] = []
        self._loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
        self._prune_loops_at = _PRUNE_LOOPS_FROM
        self._closing: asyncio.AbstractEventLoop | None = None
        """The loop that its runner is closing: the tasks that asyncio makes for that are nobody's."""
        self.stirred: set[Guard] = set()
        """The guards that have noted something of their own, to be said at a tear-down."""
        self._is_asyncio = False
        self._is_uvloop = False
        self.loop_kinds: list[Any] = []
        """The classes of loops that are known so far, asyncio's first."""

    @property
    def is_installed(self) -> bool:
        """Whether asyncio is patched: it is once somebody has loaded it."""
        return self._is_asyncio

    @property
    def loops(self) -> "list[asyncio.AbstractEventLoop]":
        """The loops that tasks have been made for and that are still there."""
        return list({id(loop): loop for known in self._loops if (loop := known()) is not None}.values())

    # A guard

    def begin_test(self, item: pytest.Item) -> None:
        """A new owner: this execution of this test."""
        self.test = Owner(name=item.nodeid, scope="test")
        self._running = [self.test]
        _OWNER.set(self.test)

    def note_modules(self) -> None:
        """Patch asyncio and uvloop as soon as somebody has loaded them."""
        if not self._is_asyncio and "asyncio" in sys.modules:
            self.install()
        if not self._is_uvloop and "uvloop" in sys.modules:
            self._is_uvloop = True
            self._patch_loop(sys.modules["uvloop"].Loop)

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down nobody runs; the leak guards have looked by then."""
        if phase is Phase.TEARDOWN:
            for owner in self.over():
                owner.end()
            self._running = []
            self.ended.clear()
            _OWNER.set(None)
        return error

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """A new owner: this fixture, until it is finished."""
        owner = Owner(name=fixturedef.argname, scope=fixturedef.scope)
        self.fixtures[id(fixturedef)] = owner
        self._running.append(owner)
        _OWNER.set(owner)

    def end_fixture(self, fixturedef: pytest.FixtureDef[object], value: object, *, is_up: bool) -> None:
        """What runs next belongs to whoever asked for the fixture."""
        owner = self._running.pop()
        owner.value = value
        if not is_up:
            self._retire(fixturedef)
        _OWNER.set(self._running[-1] if self._running else None)

    def finish_fixture(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """The fixture's life is over."""
        self._retire(fixturedef)

    def _retire(self, fixturedef: pytest.FixtureDef[object]) -> None:
        owner = self.fixtures.pop(id(fixturedef), None)
        if owner is not None:
            owner.is_over = True
            owner.value = None
            if owner.tasks or owner.lost or owner.made or owner.generators:
                self.ended.append(owner)

    def over(self) -> list[Owner]:
        """The owners whose life ends with this tear-down."""
        return [*self.ended, *([self.test] if self.test is not None else [])]

    def owners(self) -> list[Owner]:
        """These, and the fixtures that live on."""
        return [*self.over(), *self.fixtures.values()]

    def has_left(self) -> bool:
        """Whether an owner whose life ends with this tear-down has left anything that a guard would look at."""
        if self.stirred or self.ended:
            return True
        owner = self.test
        if owner is None:
            return False
        if owner.made or owner.lost or owner.generators:
            return True
        for record in list(owner.tasks):
            task = record()
            if task is not None and (not task.done() or getattr(task, "_log_traceback", True)):
                return True
        return False

    def may_have_made(self) -> bool:
        """Whether an owner that runs, or whose life ends with this tear-down, has made anything; of threads nobody knows."""
        if self.ended or threading.get_ident() != self._main_ident:
            return True
        for owner in self._running:  # noqa: SIM110 - a generator costs as much again, and the collector asks at each of its turns
            if owner.made:
                return True
        return False

    def living_values(self) -> list[object]:
        """What the living fixtures gave."""
        return [owner.value for owner in self.fixtures.values() if owner.value is not None]

    # Making other things

    def making(self, depth: int = 3) -> tuple[Owner | None, Site]:
        """Who makes something right now, and where; for a function that stands in the maker's place."""
        owner = self.maker()
        site = None if owner is None else self._sites.site_of_made(depth)
        return (None, NO_SITE) if site is None else (owner, site)

    def maker(self) -> Owner | None:
        """Who makes something right now; None for the toolkit itself and for what no test is behind."""
        owner = _OWNER.get()
        if owner is NOBODY:
            return None
        if owner is None or owner.is_over or owner is FLOATING:
            return self._threads.get(threading.current_thread()) or self._current()
        return owner

    def site_of_task(self, owner: Owner) -> Site:
        """Where the running task was made: a library that connects in a task of its own shows no frame of the project."""
        import asyncio  # noqa: PLC0415 - asked about what asyncio's code has made

        try:
            task = asyncio.current_task()
        except RuntimeError:
            return NO_SITE
        record = owner.record(task) if task is not None else None
        return record.site if record is not None else NO_SITE

    def owner_of_thread(self, thread: threading.Thread) -> Owner | None:
        """Who started this thread."""
        return self._threads.get(thread)

    def adopt_thread(self, thread: threading.Thread, owner: Owner) -> None:
        """What this thread makes belongs to this owner: a new thread starts without context."""
        self._threads[thread] = owner

    # Making tasks

    def install(self) -> None:
        """Record tasks from now on, and look before every closing of a loop."""
        import asyncio  # noqa: PLC0415 - loaded already: otherwise there is nothing to patch

        self._is_asyncio = True
        if sys.version_info < (3, 12):
            self._pass_by_wait_for()
        self._patch_loop(asyncio.BaseEventLoop)  # any loop of the standard library
        original, observers = asyncio.Runner.close, self._before_close

        def close(runner: asyncio.Runner) -> None:
            loop = getattr(runner, "_loop", None)  # get_loop() would make one
            before = self._closing
            if loop is not None and not loop.is_closed() and not loop.is_running():
                test = self.test
                may_have_left = self.ended or (test is not None and not test.is_over and test.has_left)
                # Who interrupts a program, or leaves it by sys.exit(), leaves the rest to whoever runs the loop.
                if may_have_left and not isinstance(sys.exc_info()[1], LEAVING):
                    for look in observers:
                        look(loop)
                self._closing = loop
            try:
                original(runner)
            finally:
                self._closing = before

        asyncio.Runner.close = close  # type: ignore[method-assign,assignment] # the moment before all is cancelled silently
        self._restore.callback(setattr, asyncio.Runner, "close", original)

    def before_close(self, look: "Callable[[asyncio.AbstractEventLoop], None]") -> None:
        """Call this for every loop that its runner is about to close, if anything is left: closing tidies up without a word."""
        self._before_close.append(look)

    def ending_here(self) -> list[Owner]:
        """Whose life ends with a loop that is being closed now: a living fixture's is not over because its loop's is."""
        return [*self.ended, *([self.test] if self.test is not None and not self.test.is_over else [])]

    def remove(self) -> None:
        """Put asyncio and uvloop back as they were."""
        self._restore.close()
        self._is_asyncio = self._is_uvloop = False
        self.loop_kinds.clear()
        _OWNER.set(None)

    def replace(self, kind: Any, name: str, value: object) -> "Callable[[], None]":  # noqa: ANN401 - a class of loops
        """Put a method in another's place; call what is given to put it back. uvloop's class has its own by inheritance."""
        if name not in vars(kind):
            setattr(kind, name, value)
            return lambda: delattr(kind, name)
        original = vars(kind)[name]
        setattr(kind, name, value)
        return lambda: setattr(kind, name, original)

    def _patch_loop(self, kind: Any) -> None:  # noqa: ANN401 - a class of loops
        import asyncio  # noqa: PLC0415 - loaded already

        self.loop_kinds.append(kind)
        original: Any = kind.create_task
        adopt, site, record_of, own, floating, nobody = (
            self._adopt,
            self.site_of_new,
            TaskRecord,
            _OWNER,
            FLOATING,
            NOBODY,
        )
        modules, running_loop = sys.modules, asyncio._get_running_loop  # noqa: SLF001 - documented for those who write loops

        # Every statement of it is a hundredth of what making a task costs, so nothing is asked twice or by way of an attribute.
        def create_task(loop: "asyncio.AbstractEventLoop", coro: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncio's own signature grows with each version
            if options:
                context = options.get("context")
                owner = own.get() if context is None else context.get(own)
            else:
                context = None
                owner = own.get()
            if context is None:
                if loop is self._closing and not loop.is_running():
                    return original(loop, coro, **options)
                if owner is floating or (_ANYIO in modules and type(coro) is CoroutineType and coro.__name__ == _RUNNER):
                    context = options["context"] = adopt(coro)
                    owner = context.get(own)
            task = original(loop, coro, **options) if options else original(loop, coro)
            if owner is None or owner.is_over:
                # A thread's own tasks belong to nobody here: a server in a thread works for test after test.
                owner = self._current()
            if owner is None or owner is floating or owner is nobody:
                return task
            if not self._loops or self._loops[-1]() is not loop:  # mostly the one of the task before
                self._know(loop)
            record = record_of(task, owner.forget)
            record.coro = coro
            record.site = site()
            record.is_root = running_loop() is not loop
            record.is_said = False
            owner.tasks[record] = None
            return task

        create_task.without_record = original  # type: ignore[attr-defined] # see below
        self._restore.callback(self.replace(kind, "create_task", create_task))  # where every loop of the class makes its tasks

    def _pass_by_wait_for(self) -> None:
        """Up to Python 3.11 each ``wait_for`` makes a task, which it awaits in any case: no record is needed of it."""
        from asyncio import tasks  # noqa: PLC0415 - loaded already

        original, wait_for, own, floating = tasks.ensure_future, tasks.wait_for.__code__, _OWNER, FLOATING
        get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame

        def ensure_future(awaitable: Any, *, loop: Any = None) -> Any:  # noqa: ANN401 - asyncio's own signature
            if type(awaitable) is CoroutineType and get_frame(1).f_code is wait_for and own.get() is not floating:
                make = getattr(type(loop).create_task, "without_record", None)
                if make is not None and not loop.is_closed():
                    return make(loop, awaitable)
            return original(awaitable, loop=loop)

        self._restore.callback(self.replace(tasks, "ensure_future", ensure_future))  # wait_for() and few others find it there

    def _adopt(self, coro: object) -> contextvars.Context:
        """Another context for a task whose inherited owner says nothing."""
        is_runner = getattr(coro, "__name__", "") == _RUNNER
        context = contextvars.copy_context()
        context.run(_OWNER.set, FLOATING if is_runner else self._current())
        return context

    def _current(self) -> Owner | None:
        if threading.current_thread() is self._main_thread and self._running:
            return self._running[-1]
        return None

    def _know(self, loop: "asyncio.AbstractEventLoop") -> None:
        if len(self._loops) >= self._prune_loops_at:  # those that are gone
            self._loops = [weakref.ref(one) for one in self.loops]
            self._prune_loops_at = max(_PRUNE_LOOPS_FROM, 2 * len(self._loops))
        self._loops.append(weakref.ref(loop))
