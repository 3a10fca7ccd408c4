"""Exceptions that nobody saw: of a task whose result was never asked for, and of a thread that ended with one."""

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import pytest

from ci_tools.model.case import Frame, Leak, Phase
from ci_tools.pytest_plugin.failures import Project, frames_of, message_of, type_name_of
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.owners import Owner, frames_of_site
from ci_tools.pytest_plugin.ownership import LEAVING, Ownership

if TYPE_CHECKING:
    import asyncio

KIND = "exception"

_HINT_OF_TASK = "await the task (asyncio.TaskGroup does it for all of its own), or ask for its exception() in a done callback"
_HINT_OF_CALLBACK = "catch it in the callback, or give the loop an exception handler with loop.set_exception_handler()"
_HINT_OF_THREAD = "catch it in the thread and hand it over: concurrent.futures keeps it for result()"


class ExceptionGuard(Guard):
    """Notes what asyncio and threading would only print."""

    ends_in = (Phase.TEARDOWN,)
    quiet_ends_in = ()

    def __init__(self, ownership: Ownership, findings: Findings, project: Project) -> None:
        self._ownership = ownership
        self._findings = findings
        self._project = project
        self._seen: list[tuple[Owner, Leak]] = []
        self._restore = contextlib.ExitStack()
        self._known_loops = 0

    def install(self) -> None:
        """Stand before pytest's own hook, which is in place by now."""
        self._install_threading()

    def note_modules(self) -> None:
        """Stand before each kind of loop's, as soon as somebody has loaded it."""
        kinds = self._ownership.loop_kinds
        while self._known_loops < len(kinds):
            self._install_loop(kinds[self._known_loops])
            self._known_loops += 1

    def remove(self) -> None:
        """Put threading and asyncio back as they were."""
        self._restore.close()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """After the tear-down whoever is over answers for what its tasks and threads raised."""
        if phase is not Phase.TEARDOWN:
            return error
        over = self._ownership.over()
        for owner in over:
            for record in list(owner.tasks):
                task = record()
                if task is not None and task.done() and getattr(task, "_log_traceback", False):
                    self._note_task(owner, task, task._exception)  # noqa: SLF001 - exception() would count as asking
                    task._log_traceback = False  # noqa: SLF001 - it is said now
        if self._seen:
            for owner, leak in self._seen:
                if owner.is_over or owner in over:
                    self._findings.add(leak)
            self._seen = [(owner, leak) for owner, leak in self._seen if not owner.is_over and owner not in over]
            if not self._seen:
                self._ownership.stirred.discard(self)
        return error

    def _install_threading(self) -> None:
        original = threading.excepthook
        ownership = self._ownership

        def note(arguments: Any) -> None:  # noqa: ANN401 - threading.ExceptHookArgs, which typing does not let us name
            owner = ownership.owner_of_thread(arguments.thread)
            if owner is not None and arguments.exc_value is not None and not isinstance(arguments.exc_value, SystemExit):
                self._note(owner, f"thread {arguments.thread.name!r} ended with", arguments.exc_value, _HINT_OF_THREAD)
            original(arguments)

        threading.excepthook = note
        self._restore.callback(setattr, threading, "excepthook", original)

    def _install_loop(self, kind: Any) -> None:  # noqa: ANN401 - a class of loops
        original = kind.call_exception_handler

        def call(loop: "asyncio.AbstractEventLoop", context: dict[str, Any]) -> None:
            task = context.get("task") or context.get("future")
            if task is not None and "never retrieved" in context.get("message", "") and loop.get_exception_handler() is None:
                owner = next((one for one in self._ownership.owners() if one.record(task) is not None), None)
                if owner is not None:
                    self._note_task(owner, task, context.get("exception"))
                elif not hasattr(task, "get_coro"):
                    self._note_context(loop, "nobody asked a future for its exception:", context, _HINT_OF_TASK)
            elif task is None:
                self._note_context(loop, "a callback of the event loop raised", context, _HINT_OF_CALLBACK)
            original(loop, context)

        # where a task says it as it is collected
        self._restore.callback(self._ownership.replace(kind, "call_exception_handler", call))

    def _note_context(self, loop: "asyncio.AbstractEventLoop", what: str, context: dict[str, Any], hint: str) -> None:
        """What the project's own code raised where nobody could catch it, and asyncio would only print."""
        error, owner = context.get("exception"), self._ownership.maker()
        if not isinstance(error, Exception) or owner is None or loop.get_exception_handler() is not None:
            return
        own, _ = frames_of(error.__traceback__, self._project)
        if own is None and error.__traceback__ is None:  # put into a future by hand: where it was dropped
            own, _ = frames_of_site(self._ownership.site(3), self._project)
        if own is not None:
            self._note(owner, what, error, hint, own)

    def _note_task(self, owner: Owner, task: "asyncio.Task[Any]", error: BaseException | None) -> None:
        if error is not None and not _has_left(error):
            name = getattr(task.get_coro(), "__qualname__", "?")
            self._note(owner, f"nobody asked task {task.get_name()!r} of {name} for its exception:", error, _HINT_OF_TASK)

    def _note(self, owner: Owner, what: str, error: BaseException, hint: str, place: Frame | None = None) -> None:
        own, deepest = frames_of(error.__traceback__, self._project)
        text = f"{what} {type_name_of(error)}: {message_of(error)}".rstrip(": ")
        self._ownership.stirred.add(self)
        self._seen.append((owner, Leak(kind=KIND, what=text, created=place or own or deepest, owner=owner.label, hint=hint)))


def _has_left(error: BaseException) -> bool:
    """Whether it is how a program is left, which has gone past the task to whoever runs the loop."""
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(LEAVING) is not None
    return isinstance(error, LEAVING)
