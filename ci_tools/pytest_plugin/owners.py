"""Owners: tests and fixtures, and what each of them made, with where it was made."""

import re
import weakref
from dataclasses import dataclass
from types import AsyncGeneratorType, CodeType
from typing import TYPE_CHECKING, Any

from ci_tools.model.case import Frame
from ci_tools.pytest_plugin.failures import Project

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

Site = tuple[tuple[CodeType, int], ...]
"""Where something was made: (code, instruction) pairs, innermost first."""

_MOST_MADE = 10_000
_XUNIT = re.compile(r"_(?:xunit|unittest)_(?P<function>\w+?)_fixture_(?P<subject>.*)")
"""pytest's names for the fixtures that it makes of ``setup_module`` and its like."""
NO_SITE: Site = ()
_NO_GENERATORS: "dict[GeneratorRecord, None]" = {}
"""Of all owners that have none: most."""


class TaskRecord(weakref.ref["asyncio.Task[Any]"] if TYPE_CHECKING else weakref.ref):  # type: ignore[misc] # as the type says
    """One task, which it does not keep, and where it was made.

    The coroutine is kept: as long as it waits for something, that keeps its task from being collected as garbage, unnoticed,
    for asyncio itself holds only weak references.
    """

    __slots__ = ("coro", "is_root", "is_said", "site")

    coro: Any
    site: Site
    is_root: bool
    """Whether it was made for ``run_until_complete``."""
    is_said: bool
    """Whether it is among the findings already."""


class GeneratorRecord(weakref.ref[AsyncGeneratorType[Any, Any]] if TYPE_CHECKING else weakref.ref):  # type: ignore[misc] # as above
    """One async generator, which it does not keep, and where it was begun."""

    __slots__ = ("loop_id", "site")

    loop_id: int
    """The identity of the loop that it was begun in."""
    site: Site


@dataclass(slots=True, eq=False)
class Made:
    """Something else: its kind, the thing itself and where it was made."""

    kind: str
    thing: Any
    site: Site


def label_of_fixture(name: str, scope: str) -> str:
    """For people: ``fixture pool (session)``, or ``setUpClass of TestIt (class)`` for what pytest has made of that."""
    if (made := _XUNIT.fullmatch(name)) is not None:
        return f"{made['function']} of {made['subject'].rpartition('.')[2]} ({scope})"
    return f"fixture {name} ({scope})"


class Owner:
    """A test or a fixture, and what it made. ``value`` is what a living fixture gave.

    ``tasks`` holds the records of the tasks that are still there: each takes itself out by ``forget``, without any Python, when
    its task goes; likewise ``generators``. So a suite that makes them by the thousand keeps nothing, and gives the garbage
    collector nothing to do.
    """

    __slots__ = ("forget", "generators", "is_over", "lost", "made", "name", "scope", "tasks", "value")

    def __init__(self, name: str, scope: str) -> None:  # by hand: three of them for each test, at a third of a dataclass's price
        self.name = name
        self.scope = scope
        self.is_over = False
        self.tasks: dict[TaskRecord, None] = {}
        self.forget = self.tasks.pop
        self.lost: list[tuple[Any, Site]] = []
        """Coroutines of tasks that went before they were done, and where these were made."""
        self.made: list[Made] = []
        self.generators = _NO_GENERATORS
        self.value: object = None

    @property
    def label(self) -> str:
        """For people: the test ID, or ``fixture pool (session)``."""
        return self.name if self.scope == "test" else label_of_fixture(self.name, self.scope)

    @property
    def has_left(self) -> bool:
        """Whether anything that it made may still be there: a task that has not ended, or anything else at all."""
        return bool(self.made or self.lost or self.generators) or any(True for _ in self.pending())

    def record(self, task: "asyncio.Task[Any]") -> TaskRecord | None:
        """The record of a task of its own."""
        return next((record for record in list(self.tasks) if record() is task), None)

    def keep(self, made: Made) -> None:
        """Keep something else; a test that makes very many keeps the latest."""
        self.made.append(made)
        if len(self.made) > _MOST_MADE:
            del self.made[: _MOST_MADE // 2]

    def keep_generator(self, generator: "AsyncGeneratorType[Any, Any]", loop: object, site: Site) -> None:
        """Keep a record of an async generator, begun in this loop, for as long as the generator is there."""
        if self.generators is _NO_GENERATORS:
            self.generators = {}
        record = GeneratorRecord(generator, self.generators.pop)
        record.loop_id = id(loop)
        record.site = site
        self.generators[record] = None

    def drop(self, record: Made | GeneratorRecord) -> None:
        """Keep this no longer: it has been said."""
        if isinstance(record, Made):
            self.made.remove(record)
        else:
            self.generators.pop(record, None)

    def end(self) -> None:
        """Its life is over, and all has been said of what it made: a thread or a context may hold it for much longer."""
        self.is_over = True
        self.value = None
        self.made.clear()
        self.lost.clear()

    def pending(self) -> "Iterator[tuple[asyncio.Task[Any], TaskRecord]]":
        """The tasks that are not done, with their records."""
        for record in list(self.tasks):  # any of them may go meanwhile
            task = record()
            if task is not None and not task.done() and not record.is_said:
                yield task, record


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
