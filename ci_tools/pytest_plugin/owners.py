"""Owners: tests and fixtures, and what each of them made, with where it was made."""

import weakref
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

from ci_tools.model.case import Frame
from ci_tools.pytest_plugin.failures import Project

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

Site = tuple[tuple[CodeType, int], ...]
"""Where something was made: (code, instruction) pairs, innermost first."""

PRUNE_FROM = 256
"""From this many records on, those of what is gone are dropped."""

_MOST_MADE = 10_000
NO_SITE: Site = ()


@dataclass(slots=True, eq=False)
class TaskRecord:
    """One task: where it was made, and whether it was made for ``run_until_complete``.

    The coroutine is kept and the task is not. A suspended coroutine keeps its task from being collected unnoticed (asyncio
    itself holds only weak references); a finished task goes at once, with its exception.
    """

    ref: "weakref.ref[asyncio.Task[Any]]"
    coro: Any
    site: Site
    is_root: bool

    @property
    def is_unfinished(self) -> bool:
        """Whether the coroutine has still something to do."""
        coro = self.coro
        try:
            return coro.cr_frame is not None
        except AttributeError:
            return getattr(coro, "gi_frame", None) is not None


@dataclass(slots=True, eq=False)
class Made:
    """Something else than a task: its kind, the thing itself and where it was made."""

    kind: str
    thing: Any
    site: Site


class Owner:
    """A test or a fixture, and what it made. ``value`` is what a living fixture gave."""

    __slots__ = ("is_over", "made", "name", "prune_at", "scope", "tasks", "value")

    def __init__(self, name: str, scope: str) -> None:  # by hand: three of them for each test, at a third of a dataclass's price
        self.name = name
        self.scope = scope
        self.is_over = False
        self.tasks: list[TaskRecord] = []
        self.made: list[Made] = []
        self.value: object = None
        self.prune_at = PRUNE_FROM

    @property
    def label(self) -> str:
        """For people: the test ID, or ``fixture pool (session)``."""
        return self.name if self.scope == "test" else f"fixture {self.name} ({self.scope})"

    @property
    def has_left(self) -> bool:
        """Whether anything that it made may still be there: a task that has not ended, or anything else at all."""
        return bool(self.made) or any([record.is_unfinished for record in self.tasks])  # noqa: C419 - a generator costs as much again

    def prune(self) -> None:
        """Drop the records of tasks that are gone."""
        self.tasks = [kept for kept in self.tasks if kept.is_unfinished]
        self.prune_at = max(PRUNE_FROM, 2 * len(self.tasks))

    def keep(self, made: Made) -> None:
        """Keep something else; a test that makes very many keeps the latest."""
        self.made.append(made)
        if len(self.made) > _MOST_MADE:
            del self.made[: _MOST_MADE // 2]

    def pending(self) -> "Iterator[tuple[asyncio.Task[Any], TaskRecord]]":
        """The tasks that are not done, with their records."""
        for record in self.tasks:
            if record.is_unfinished:
                task = record.ref()
                if task is not None and not task.done():
                    yield task, record

    def destroyed(self) -> "Iterator[TaskRecord]":
        """The records of tasks that went before they were done: their loop was closed with them still in its queue."""
        for record in self.tasks:
            if record.is_unfinished and record.ref() is None:
                yield record


FLOATING = Owner(name="whoever runs", scope="floating")
"""Owner of a task that serves test after test (anyio's runner): what is made below it belongs to the current owner."""

NOBODY = Owner(name="ci-tools", scope="nobody")
"""Owner of what the toolkit itself makes on behalf of all tests."""


def frames_of_site(site: Site, project: Project) -> tuple[Frame | None, str]:
    """The nearest frame of the project (else the nearest at all), and the short stack as text, outermost first."""
    frames = [
        (Frame(path=project.relative(code.co_filename), line=_line_of(code, lasti), function=code.co_qualname), code.co_filename)
        for code, lasti in site
    ]
    own = [frame for frame, filename in frames if project.holds(filename)]
    stack = "\n".join(f"{frame.path}:{frame.line} in {frame.function}" for frame, _ in reversed(frames))
    return (own[0] if own else frames[0][0] if frames else None), stack


def _line_of(code: CodeType, lasti: int) -> int:
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno
