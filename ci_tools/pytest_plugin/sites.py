"""Sites: where something is made right now, as (code, instruction) pairs that are decoded only for a report."""

import re
import sys
from operator import itemgetter
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
_MAKER = 2
"""How many frames up from ``Sites.site_of_new`` the code is that makes the task."""
_Way = tuple[CodeType, CodeType, CodeType]
"""The project's code that is nearest to what is made, the code right above it, and the code that makes."""
_get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame


class Sites:
    """Walks the stack, as shortly as it can: a suite makes tasks by the hundred thousand."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kinds: dict[str, str] = {}
        self._learnt: dict[int, tuple[tuple[int, dict[int, _Way]], ...]] = {}
        """By the identity of the code that makes, for a code's own hash is dear: how many frames up the project's were, nearest
        first, and which, by their identity again."""

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
        """The same for what is made by the thousand, asked by what stands in the place of the function that makes it.

        A library makes its tasks as many frames above the project's as it did the time before: there it is looked first.
        """
        maker = _get_frame(_MAKER).f_code
        for depth, known in self._learnt.get(id(maker), ()):
            try:
                frame = _get_frame(depth)
            except ValueError:  # the stack is not even that deep
                break
            way = known.get(id(frame.f_code))
            if way is not None and (depth == _MAKER + 1 or _get_frame(depth - 1).f_code is way[1]):
                return self._onward(frame)
        return self._learn(_get_frame(_MAKER))

    def _learn(self, maker: FrameType) -> Site:
        """Walk the whole way, and remember where the project's nearest frame was."""
        kinds = self._kinds
        depth = _MAKER
        above = maker.f_code
        frame: FrameType | None = maker
        while frame is not None:
            code = frame.f_code
            kind = kinds.get(code.co_filename) or self._kind_of(code.co_filename)
            if kind is _OWN:
                if depth > _MAKER:
                    depths = dict(self._learnt.get(id(maker.f_code), ()))
                    depths.setdefault(depth, {})[id(code)] = (code, above, maker.f_code)
                    self._learnt[id(maker.f_code)] = tuple(sorted(depths.items(), key=itemgetter(0)))
                return self._onward(frame)
            if kind is _PYTEST:
                break
            frame, above = frame.f_back, code
            depth += 1
        return ((maker.f_code, maker.f_lasti),)

    def _onward(self, frame: FrameType) -> Site:
        """From the nearest frame of the project on: its frames, until nothing of it can come any more."""
        kinds = self._kinds
        site = [(frame.f_code, frame.f_lasti)]
        below = frame.f_back
        while below is not None:
            code = below.f_code
            kind = kinds.get(code.co_filename) or self._kind_of(code.co_filename)
            if kind is _OWN:
                site.append((code, below.f_lasti))
                if len(site) == _KEPT_FRAMES:
                    break
            elif kind is not _FOREIGN:
                break
            below = below.f_back
        return tuple(site)

    def _walk(self, frame: FrameType | None, *, past_pytest: bool) -> Site | None:
        kinds = self._kinds
        kept: list[tuple[CodeType, int]] = []
        own = 0
        while frame is not None:
            code = frame.f_code
            kind = kinds.get(code.co_filename) or self._kind_of(code.co_filename)
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
            if self._kind_of(filename) is _PYTEST:
                return is_of_library
            if not self._project.is_installed(filename):
                return False
            is_of_library = is_of_library or self._project.is_library(filename)
            frame = frame.f_back
        return False

    def _kind_of(self, filename: str) -> str:
        kind = self._kinds.get(filename)
        if kind is None:
            if self._project.holds(filename):
                kind = _OWN
            elif _PLUGGY.search(filename):
                kind = _PYTEST
            else:
                kind = _LOOP if _EVENT_LOOP.search(filename) else _FOREIGN
            self._kinds[filename] = kind
        return kind
