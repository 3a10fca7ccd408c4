"""Threads that outlive the test or fixture that started them: named with where they were started."""

import _thread
import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Container, Sequence
from functools import partial
from typing import Any

import pytest

from ci_tools.model.case import Frame, Leak, Phase
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Made, Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.reach import forgetful_files, holder_of, is_forgotten, keeper_of

KIND = "thread"
_WAITERS = ("_do_waitpid", "_do_shutdown")
"""What asyncio's own threads do: wait for a child or for an executor, and that is what is left."""
_LEAVING_S = 5.0
"""One that has left its function gets so long: its locals go, or nobody lets it run on a loaded machine."""
SETTLE_S = 0.1
"""A thread that was told to end gets this long to be gone, once per test and only where one is alive."""

_BELOW = ("start_new_thread", "start_new")
_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")
_HINT = "tell it to end and join it, leave its executor with `with`, or stop it in the fixture's tear-down"


class _Bare:
    """A thread below the threading module: runs a function, and knows when that is over. What it makes is nobody's."""

    daemon = True
    """The interpreter does not wait for it."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._target = function
        self.ident: int | None = None
        self.name = getattr(function, "__qualname__", "?")
        self._is_over = threading.Event()

    def __call__(self, *arguments: object, **options: object) -> None:
        try:
            self._target(*arguments, **options)
        finally:
            self._is_over.set()

    def is_alive(self) -> bool:
        """Whether the function has not come back."""
        return not self._is_over.is_set()

    def join(self, timeout: float) -> None:
        """Wait for it, so many seconds."""
        self._is_over.wait(timeout)


class _Starting:
    """In the place of ``_thread.start_new_thread``. Not a function: kept in a class's body it must not turn into a method."""

    __slots__ = ("_guard", "_original")

    def __init__(self, original: Callable[..., int], guard: "ThreadGuard") -> None:
        self._original = original
        self._guard = guard

    def __call__(self, function: Callable[..., object], *arguments: Any) -> int:  # noqa: ANN401 - the original's own signature
        bare = self._guard.bare_thread(function)
        if bare is None:
            return self._original(function, *arguments)
        bare.ident = number = self._original(bare, *arguments)
        return number


class ThreadGuard(Guard):
    """Notes who starts a thread, and looks when the owner's life is over."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._original: Any = None
        self._original_below: Any = None

    def install(self) -> None:
        """Note every start from now on."""
        self._original = original = threading.Thread.start
        ownership = self._ownership

        def start(thread: threading.Thread) -> None:
            owner, site = ownership.making()
            if owner is not None:
                owner.keep(Made(KIND, thread, site))
                ownership.adopt_thread(thread, owner)
            original(thread)

        threading.Thread.start = start  # type: ignore[method-assign,assignment] # the one place where Python's threads start
        self._original_below = _thread.start_new_thread
        for name in _BELOW:
            setattr(_thread, name, _Starting(self._original_below, self))

    def bare_thread(self, function: Callable[..., object]) -> _Bare | None:
        """In the function's place, where the project's own code starts a thread below the threading module."""
        if not callable(function) or not self._project.holds(sys._getframe(2).f_code.co_filename):  # noqa: SLF001 - documented
            return None
        owner, site = self._ownership.making(depth=4)
        if owner is None:
            return None
        bare = _Bare(function)
        owner.keep(Made(KIND, bare, site))
        return bare

    def remove(self) -> None:
        """Put threading back as it was."""
        if self._original_below is not None:
            for name in _BELOW:
                setattr(_thread, name, self._original_below)
            self._original_below = None
        if self._original is not None:
            threading.Thread.start = self._original  # type: ignore[method-assign] # as above
            self._original = None

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down no thread of the test may run, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN:
            for owner in self._ownership.over():
                if owner.made:
                    self._look(item, owner)
        return error

    def _look(self, item: pytest.Item, owner: Owner) -> None:
        alive = _alive(owner)
        if not alive:
            return
        deadline = CLOCK.monotonic() + SETTLE_S
        for made in alive:
            made.thing.join(max(0.0, deadline - CLOCK.monotonic()))
        pools: set[Frame | None] = set()
        for made in _alive(owner):
            if not hasattr(made.thing, "_target"):  # it has left its function, and nobody can end it any sooner
                made.thing.join(_LEAVING_S)
            if not made.thing.is_alive() or self._is_kept(made.thing, forgetful_files(item, owner, made.site)):
                continue
            created, stack = frames_of_site(made.site, self._project)
            if _home_of(made.thing) in _POOLS:
                if created in pools:  # one pool, however many threads it has
                    continue
                pools.add(created)
            leak = Leak(
                kind=KIND,
                what=f"thread {made.thing.name!r} ({_doing(made.thing)}) is still running",
                created=created,
                created_stack=stack,
                owner=owner.label,
                hint=_HINT,
            )
            self._findings.add(leak, partial(_contain, made.thing))

    def _is_kept(self, thread: threading.Thread, files: Container[str]) -> bool:
        """Whether something that lives longer than the test keeps it on purpose: a fixture, a loop, a module's pool."""
        if holder_of(thread, self._ownership.living_values()):
            return True
        target = getattr(thread, "_target", None)
        name = _home_of(thread)
        home = sys.modules.get(name)
        if name in _POOLS:
            return self._is_kept_worker(thread, files)
        if name.startswith("asyncio."):
            return getattr(target, "__name__", "") in _WAITERS
        if home is None or home is threading or not thread.daemon or self._project.holds(getattr(home, "__file__", "") or ""):
            return False
        # A library's own background thread: one for the process, known to a module or a class of the library.
        return bool(holder_of(thread, _globals_of(name.partition(".")[0])))

    def _is_kept_worker(self, thread: threading.Thread, files: Container[str]) -> bool:
        executors = [getattr(loop, "_default_executor", None) for loop in self._ownership.loops if not loop.is_closed()]
        if any(thread in getattr(executor, "_threads", ()) for executor in executors if executor is not None):
            return True
        executor = _executor_of(thread)
        if executor is not None and (is_forgotten(executor) or keeper_of(executor, files)):
            return True
        # An executor that is a module's global lives as long as the module; one in a list of a test's module does not.
        return any(
            thread in getattr(value, "_threads", ())
            for module in tuple(sys.modules.values())
            for value in tuple(getattr(module, "__dict__", {}).values())
            if type(value).__name__ == "ThreadPoolExecutor"
        ) or _is_of_a_modules_pool(thread)


def _home_of(thread: threading.Thread) -> str:
    """The module of what it runs."""
    return getattr(getattr(thread, "_target", None), "__module__", "") or type(thread).__module__


def _executor_of(thread: threading.Thread) -> object | None:
    """The executor whose worker it is, if that is still there.

    One that nobody holds tells its workers to end; in a cycle of references it is slow to be noticed. So a library may have
    left it (asgiref, where the function that it runs has raised), and its caller has nothing to end it by.
    """
    first = (*getattr(thread, "_args", ()), None)[0]
    return first() if isinstance(first, weakref.ref) else None


def _is_of_a_modules_pool(thread: threading.Thread) -> bool:
    """The same for multiprocessing's pools of threads, which its own register of finalizers would lead to."""
    return any(
        type(value).__name__ == "ThreadPool" and any(one is thread for one in _threads_of_pool(value))
        for module in tuple(sys.modules.values())
        for value in tuple(getattr(module, "__dict__", {}).values())
    )


def _threads_of_pool(pool: Any) -> Sequence[object]:  # noqa: ANN401 - multiprocessing's
    workers = [getattr(pool, name, None) for name in ("_worker_handler", "_task_handler", "_result_handler")]
    return [*getattr(pool, "_pool", ()), *workers]


def _contain(thread: threading.Thread) -> str:
    """A thread that runs an event loop is asked to stop it; any other cannot be ended, and it is said what that means."""
    loop: Any = getattr(getattr(thread, "_target", None), "__self__", None)
    if hasattr(loop, "call_soon_threadsafe"):
        with contextlib.suppress(RuntimeError):  # closed meanwhile
            loop.call_soon_threadsafe(loop.stop)
            thread.join(SETTLE_S)
        if not thread.is_alive():
            loop.close()
            return ""
    return "" if thread.daemon else "it is no daemon: the process cannot end before it does"


def _globals_of(package: str) -> list[object]:
    """What the modules of a package keep, and their classes."""
    modules = [module for name, module in tuple(sys.modules.items()) if name == package or name.startswith(f"{package}.")]
    values = [value for module in modules for value in tuple(getattr(module, "__dict__", {}).values())]
    kept = [one for kind in values if isinstance(kind, type) and _package_of(kind) == package for one in vars(kind).values()]
    return [*values, *kept]


def _package_of(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def _alive(owner: Owner) -> Sequence[Made]:
    return [made for made in owner.made if made.kind == KIND and made.thing.is_alive()]


def _doing(thread: threading.Thread) -> str:
    target = getattr(thread, "_target", None)
    name = getattr(target, "__qualname__", "") or type(thread).__qualname__
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - documented for exactly this
    return name if frame is None else f"{name}, in {frame.f_code.co_qualname}:{frame.f_lineno}"
