"""Asyncio tasks that outlive the test or fixture that made them: named with where they were made, then ended."""

import contextlib
import weakref
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ci_tools.model.case import Leak, Phase
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Owner, Site, TaskRecord, frames_of_site
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.reach import holder_of
from ci_tools.pytest_plugin.stacks import await_chain

if TYPE_CHECKING:
    import asyncio

KIND = "task"
SETTLE_S = 0.02
"""A task that is about to end may end: asked only where one is alive."""
CONTAIN_S = 0.3
"""A cancelled task gets this long before it is said to swallow its cancellation."""

_HINT = "await it, or cancel it and await it, before its owner ends (asyncio.TaskGroup does both)"
_Found = tuple["asyncio.Task[Any]", TaskRecord, Owner]


class TaskGuard(Guard):
    """Looks at tasks when their owner's life ends, and before a loop is closed: closing cancels them without a word."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._restore = contextlib.ExitStack()
        self._known_loops = 0
        self._from_outside: weakref.WeakKeyDictionary[Any, Site] = weakref.WeakKeyDictionary()
        """Of coroutines given to a loop from another thread, where that was."""
        if findings.is_on(KIND):
            ownership.before_close(self._before_close)

    def note_modules(self) -> None:
        """Hear of tasks that go before they are done, on each kind of loop as soon as somebody has loaded it."""
        kinds = self._ownership.loop_kinds
        while self._known_loops < len(kinds):
            if self._findings.is_on(KIND):
                self._install_loop(kinds[self._known_loops])
                if not self._known_loops:
                    self._install_from_outside()
            self._known_loops += 1

    def remove(self) -> None:
        """Put the loops' own methods back."""
        self._restore.close()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down nothing of the test may be left, nor of the fixtures that ended with it."""
        if phase is Phase.TEARDOWN and self._ownership.is_installed:
            owners = [owner for owner in self._ownership.over() if owner.tasks or owner.lost]
            if owners:
                self._look(owners, loop=None)
                self._look_for_destroyed(owners)
        return error

    def _install_loop(self, kind: Any) -> None:  # noqa: ANN401 - a class of loops
        original = kind.call_exception_handler

        def call(loop: "asyncio.AbstractEventLoop", context: dict[str, Any]) -> None:
            task = context.get("task")
            if task is not None and not task.done():  # it is being destroyed: its record knows it for the last time
                for owner in self._ownership.owners():
                    record = owner.record(task)
                    if record is not None and not record.is_said:
                        owner.lost.append((task.get_coro(), record.site))
            original(loop, context)

        # where a task says it as it goes
        self._restore.callback(self._ownership.replace(kind, "call_exception_handler", call))

    def _install_from_outside(self) -> None:
        import asyncio  # noqa: PLC0415 - loaded already: its loops are known

        original = asyncio.run_coroutine_threadsafe
        sites, site = self._from_outside, self._ownership.site

        def run(coro: Any, loop: "asyncio.AbstractEventLoop") -> Any:  # noqa: ANN401 - the original's own signature
            if asyncio.iscoroutine(coro):
                sites[coro] = site(2)
            return original(coro, loop)

        asyncio.run_coroutine_threadsafe = run
        self._restore.callback(setattr, asyncio, "run_coroutine_threadsafe", original)

    def _before_close(self, loop: "asyncio.AbstractEventLoop") -> None:
        self._look([owner for owner in self._ownership.ending_here() if owner.tasks], loop=loop)

    def _look(self, owners: Sequence[Owner], loop: "asyncio.AbstractEventLoop | None") -> None:
        found = self._pending(owners, loop)
        if not found:
            return
        _let_settle([task for task, _, _ in found])
        found = [(task, record, owner) for task, record, owner in self._pending(owners, loop) if not self._is_held(task)]
        if not found:
            return
        leaks = [self._leak(_describe(task), self._site_of(task, record.site), owner) for task, record, owner in found]
        stubborn = _contain(
            [task for (task, _, _), leak in zip(found, leaks, strict=True) if not self._findings.is_allowed(leak)]
        )
        for (task, record, _), leak in zip(found, leaks, strict=True):
            record.is_said = True
            self._findings.add(leak, stubborn.get(task, ""))

    def _look_for_destroyed(self, owners: Sequence[Owner]) -> None:
        for owner in owners:
            for coro, site in owner.lost:
                name = getattr(coro, "__qualname__", repr(coro))
                what = f"asyncio task of {name} was destroyed before it was done: its loop was closed with the task in its queue"
                self._findings.add(self._leak(what, site, owner), partial(_close, coro))
            owner.lost.clear()

    def _pending(self, owners: Iterable[Owner], loop: "asyncio.AbstractEventLoop | None") -> list[_Found]:
        found = [
            (task, record, owner)
            for owner in owners
            for task, record in owner.pending()
            if loop is None or task.get_loop() is loop
        ]
        if not found:
            return found
        import asyncio  # noqa: PLC0415 - loaded already

        try:
            current = asyncio.current_task()
        except RuntimeError:
            return found
        return [one for one in found if one[0] is not current]

    def _is_held(self, task: "asyncio.Task[Any]") -> bool:
        """Whether a living fixture's value still holds the task: a session's pool may make one inside a test."""
        values = [owner.value for owner in self._ownership.fixtures.values() if owner.value is not None]
        return bool(holder_of(task, values))

    def _site_of(self, task: "asyncio.Task[Any]", site: Site) -> Site:
        """The site; where only the loop's own code made the task, that of who gave it the coroutine, or whose code that is."""
        if any(self._project.holds(code.co_filename) for code, _ in site):
            return site
        coro = task.get_coro()
        code = getattr(coro, "cr_code", None)
        if coro in self._from_outside:
            return self._from_outside[coro]
        return ((code, 0), *site) if code is not None and self._project.holds(code.co_filename) else site

    def _leak(self, what: str, site: Site, owner: Owner) -> Leak:
        created, stack = frames_of_site(site, self._project)
        return Leak(kind=KIND, what=what, created=created, created_stack=stack, owner=owner.label, hint=_HINT)


def _describe(task: "asyncio.Task[Any]") -> str:
    coro = task.get_coro()
    chain = await_chain(coro)
    now = chain[-1] if chain else ""
    return f"asyncio task {task.get_name()!r} of {getattr(coro, '__qualname__', repr(coro))} is still pending {now}".rstrip()


def _close(coro: Any) -> str:  # noqa: ANN401 - any coroutine
    coro.close()
    return ""


def _let_settle(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    _wait(tasks, SETTLE_S)


def _contain(tasks: Sequence["asyncio.Task[Any]"]) -> dict["asyncio.Task[Any]", str]:
    """Cancel the tasks; those that cannot be ended are taken out of asyncio's books, never collected, and said with why."""
    for task in tasks:
        _cancel(task)
    _wait(tasks, CONTAIN_S)
    stubborn = {}
    for task in tasks:
        if not task.done():
            is_closed = task.get_loop().is_closed()
            stubborn[task] = "its loop was closed around it" if is_closed else "it swallows its cancellation"
            _retire(task)
    return stubborn


def _cancel(task: "asyncio.Task[Any]") -> None:
    loop = task.get_loop()
    if loop.is_closed():
        return
    if loop.is_running():  # in another thread: only this call wakes it
        loop.call_soon_threadsafe(task.cancel)
    else:
        task.cancel()


def _wait(tasks: Sequence["asyncio.Task[Any]"], timeout_s: float) -> None:
    """Let the loops of these tasks turn until they are done or time is up."""
    import asyncio  # noqa: PLC0415 - loaded already

    deadline = CLOCK.monotonic() + timeout_s
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Task[Any]]] = {}
    for task in tasks:
        by_loop.setdefault(task.get_loop(), []).append(task)
    for loop, group in by_loop.items():
        left_s = max(0.0, deadline - CLOCK.monotonic())
        if loop.is_closed():
            continue
        if loop.is_running():
            _wait_elsewhere(group, left_s)
        elif _is_no_loop_running():
            loop.run_until_complete(asyncio.wait(group, timeout=left_s))


def _wait_elsewhere(tasks: Sequence["asyncio.Task[Any]"], timeout_s: float) -> None:
    import threading  # noqa: PLC0415 - needed for a loop in another thread only

    pause = threading.Event()
    deadline = CLOCK.monotonic() + timeout_s
    while CLOCK.monotonic() < deadline and not all(task.done() for task in tasks):
        pause.wait(0.002)


def _is_no_loop_running() -> bool:
    import asyncio  # noqa: PLC0415 - loaded already

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _retire(task: "asyncio.Task[Any]") -> None:
    """Let nobody wait for a task that never ends, and never collect it: its coroutine may spin for ever when closed."""
    import asyncio  # noqa: PLC0415 - loaded already
    import ctypes  # noqa: PLC0415 - for the rarest case

    if hasattr(asyncio.tasks, "_unregister_task"):
        asyncio.tasks._unregister_task(task)  # noqa: SLF001 - documented under "Extending"
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
