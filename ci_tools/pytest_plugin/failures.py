"""Failures: what pytest saw of an exception, as the model's value with its whole chain."""

import contextlib
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath
from types import TracebackType

from ci_tools.model.case import ExceptionLink, Failure, Frame, Phase

LONGEST_MESSAGE = 8000
"""Characters of one exception's message that are kept: an assertion over a large value can fill megabytes."""
LONGEST_TEXT = 200_000
"""Characters of one rendered traceback that are kept, half from its start and half from its end."""
DEEPEST_CHAIN = 20
"""Links of an exception chain that are kept; chains made in a loop have no natural end."""

_FOREIGN_PARTS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}", f"{os.sep}.nox{os.sep}")
_STDLIB = sysconfig.get_path("stdlib") + os.sep


_FIXTURE_ATTRIBUTE = "__ci_tools_fixture__"
_PLACE_ATTRIBUTE = "__ci_tools_place__"


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisingFixture:
    """The fixture whose set-up raised."""

    name: str
    scope: str
    path: str


class Project:
    """Where the tested project lies: tells its own files from those of libraries."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._prefix = self.root.rstrip(os.sep) + os.sep
        self._is_ours: dict[str, bool] = {}

    def holds(self, filename: str) -> bool:
        """Whether the file belongs to the project, and not to a library installed below it."""
        known = self._is_ours.get(filename)
        if known is None:
            known = self._is_ours[filename] = self._holds(filename)
        return known

    def is_library(self, filename: str) -> bool:
        """Whether the file belongs to a library: neither to the project nor to Python itself."""
        is_pythons = filename.startswith((_STDLIB, "<")) and not any(part in filename for part in _FOREIGN_PARTS)
        return bool(filename) and not is_pythons and not self.holds(filename)

    def is_installed(self, filename: str) -> bool:
        """Whether the file is an installed library's or Python's own; any other may have been written for a test."""
        return filename.startswith((_STDLIB, "<")) or (
            not self.holds(filename) and any(part in filename for part in _FOREIGN_PARTS)
        )

    def relative(self, filename: str) -> str:
        """The path as the project's people know it: relative where it lies inside, with ``/``."""
        if filename.startswith(self._prefix):
            return filename[len(self._prefix) :].replace(os.sep, "/")
        return filename

    def _holds(self, filename: str) -> bool:
        if not filename.startswith(self._prefix) or filename.startswith((_STDLIB, "<")):
            return False
        inner = filename[len(self._prefix) - 1 :]
        return not any(part in inner for part in _FOREIGN_PARTS) and f"{os.sep}.venv{os.sep}" not in inner


@cache
def is_test_code(filename: str) -> bool:
    """Whether a file holds tests or their fixtures, by pytest's usual names."""
    stem = PurePath(filename).stem
    return stem == "conftest" or stem.startswith("test") or stem.endswith(("_test", "_tests"))


def failure_of(
    error: BaseException,
    *,
    phase: Phase,
    project: Project,
    text: str = "",
    fixture: str | None = None,
    fixture_scope: str | None = None,
    fixture_path: str | None = None,
    calls: tuple[str, ...] = (),
) -> Failure:
    """The failure that this exception is: its chain down to the root cause, and the deepest frame in the project."""
    chain = []
    own_frames = []
    for link in links_of(error):
        own, deepest = frames_of(link.__traceback__, project)
        own = getattr(link, _PLACE_ATTRIBUTE, None) or own
        chain.append(ExceptionLink(type_name=type_name_of(link), message=message_of(link), frame=own or deepest))
        own_frames.append(own)
    # The root cause's place in the project, else the nearest one that any link has.
    frame = next((own for own in reversed(own_frames) if own is not None), chain[0].frame)
    return Failure(
        phase=phase,
        type_name=chain[0].type_name,
        message=chain[0].message,
        text=shorten(text, LONGEST_TEXT),
        frame=frame,
        chain=tuple(chain),
        fixture=fixture,
        fixture_scope=fixture_scope,
        fixture_path=fixture_path,
        calls=calls,
    )


def blame_fixture(error: BaseException, fixture: RaisingFixture) -> None:
    """Note on the exception which fixture raised it; the first note, the innermost fixture's, stays.

    The note lies on the exception itself: pytest raises the same one again for every test that needs the fixture, and a
    table here would keep its frames, and all they hold, alive.
    """
    if not hasattr(error, _FIXTURE_ATTRIBUTE):
        with contextlib.suppress(AttributeError, TypeError):  # an exception class with slots takes no note
            setattr(error, _FIXTURE_ATTRIBUTE, fixture)


def note_place(error: BaseException, frame: Frame | None) -> None:
    """Note on an exception of ours where its cause lies: its traceback shows the guard that raised it."""
    setattr(error, _PLACE_ATTRIBUTE, frame)


def blamed_fixture(error: BaseException) -> RaisingFixture | None:
    """The fixture noted on the exception or on one that it was raised from."""
    for link in links_of(error):
        fixture = getattr(link, _FIXTURE_ATTRIBUTE, None)
        if isinstance(fixture, RaisingFixture):
            return fixture
    return None


def links_of(error: BaseException) -> Iterator[BaseException]:
    """The exception, what it was raised from or during, and so on; the last one is the root cause."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen and len(seen) < DEEPEST_CHAIN:
        seen.add(id(link))
        yield link
        context = None if link.__suppress_context__ else link.__context__
        link = link.__cause__ or context


def type_name_of(error: BaseException) -> str:
    """``ValueError``, or ``package.module.Name`` for what is not built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """The exception's own words, also when its ``__str__`` raises."""
    try:
        return shorten(str(error), LONGEST_MESSAGE)
    except Exception as broken:  # noqa: BLE001 - any __str__ may do anything; the report must not die of it
        return f"<{type(error).__name__} whose text raises {type(broken).__name__}>"


def frames_of(traceback: TracebackType | None, project: Project) -> tuple[Frame | None, Frame | None]:
    """The deepest frame that lies in the project, and the deepest at all."""
    own: Frame | None = None
    deepest: Frame | None = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        deepest = Frame(path=project.relative(code.co_filename), line=traceback.tb_lineno or 0, function=code.co_qualname)
        if project.holds(code.co_filename):
            own = deepest
        traceback = traceback.tb_next
    return own, deepest


def shorten(text: str, longest: int) -> str:
    """The text, or its start and end with a note of how much is left out."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"
