"""Sites: where something is made right now, as (code, instruction) pairs that are decoded only for a report."""

import re
import sys
from types import CodeType, FrameType

from ci_tools.pytest_plugin.assignment import GUESTS
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.imports import MODULE_BODY, is_imported
from ci_tools.pytest_plugin.owners import NO_SITE, Site

_KEPT_FRAMES = 3
_OWN, _PYTEST, _LOOP, _FOREIGN = "own", "pytest", "loop", "foreign"
_PLUGGY = re.compile(r"[\\/](pluggy|_pytest|pytest_asyncio)[\\/]")
"""Below these frames nothing of the project made anything."""
_EVENT_LOOP = re.compile(r"[\\/]asyncio[\\/](events|runners)\.py$")
"""Below these frames stands whoever runs the loop: the same for all of its tasks, and too dear to be walked for each."""
_get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame


class _Kinds(dict[str, str]):
    """Whose each file is, found out when it is first asked for: from then on without a call of any function."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._project = project

    def __missing__(self, filename: str) -> str:
        if self._project.holds(filename):
            kind = _OWN
        elif _PLUGGY.search(filename):
            kind = _PYTEST
        else:
            kind = _LOOP if _EVENT_LOOP.search(filename) else _FOREIGN
        self[filename] = kind
        return kind


class Sites:
    """Walks the stack, as shortly as it can: a suite makes tasks by the hundred thousand."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kinds = _Kinds(project)

    def site(self, depth: int, *, past_pytest: bool = False) -> Site:
        """The nearest frames of the project, from so many frames up; of pytest's own the first may be passed by."""
        return self._walk(_get_frame(depth), past_pytest=past_pytest) or NO_SITE

    def site_of_made(self, depth: int) -> Site | None:
        """The same; None where nobody of the project makes anything.

        That is while a library is being imported that the project has not called, and what a plugin makes for the pytest that a
        test runs in this process: whoever wrote the test cannot end it.
        """
        frame = _get_frame(depth)
        site = self._walk(frame, past_pytest=False)
        return None if GUESTS and site and self._is_of_guest(frame) else site

    def site_of_new(self) -> Site:
        """The same for what is made by the thousand, asked by what stands in the place of the function that makes it."""
        kinds = self._kinds
        maker = _get_frame(2)
        frame: FrameType | None = maker
        site: Site = ()
        room = _KEPT_FRAMES
        while frame is not None:
            code = frame.f_code
            kind = kinds[code.co_filename]
            if kind is _OWN:
                site += ((code, frame.f_lasti),)
                room -= 1
                if not room:
                    break
            elif kind is _PYTEST or (kind is _LOOP and site):
                break
            frame = frame.f_back
        return site or ((maker.f_code, maker.f_lasti),)

    def _walk(self, frame: FrameType | None, *, past_pytest: bool) -> Site | None:
        kinds = self._kinds
        kept: list[tuple[CodeType, int]] = []
        own = 0
        while frame is not None:
            code = frame.f_code
            kind = kinds[code.co_filename]
            if kind is _OWN:
                kept.append((code, frame.f_lasti))
                own += 1
                if own == _KEPT_FRAMES:
                    break
            elif (kind is _LOOP and own) or (kind is _PYTEST and (kept or not past_pytest)):
                break
            elif not own:
                if code.co_name == MODULE_BODY and is_imported(frame):
                    return None
                if not kept:
                    kept.append((code, frame.f_lasti))
            frame = frame.f_back
        return tuple(kept)

    def _is_of_guest(self, frame: FrameType | None) -> bool:
        """Whether nothing but libraries stands between this and the inner pytest, and one of them does."""
        is_of_library = False
        while frame is not None:
            filename = frame.f_code.co_filename
            if self._kinds[filename] is _PYTEST:
                return is_of_library
            if not self._project.is_installed(filename):
                return False
            is_of_library = is_of_library or self._project.is_library(filename)
            frame = frame.f_back
        return False
