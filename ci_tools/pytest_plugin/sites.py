"""Sites: where something is made right now, as (code, instruction) pairs that are decoded only for a report."""

import re
import sys
from types import CodeType, FrameType

from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.owners import Site

_KEPT_FRAMES = 3
_OWN, _PYTEST, _LOOP, _FOREIGN = "own", "pytest", "loop", "foreign"
_PLUGGY = re.compile(r"[\\/](pluggy|_pytest|pytest_asyncio)[\\/]")
"""Below these frames nothing of the project made anything."""
_EVENT_LOOP = re.compile(r"[\\/]asyncio[\\/](events|runners)\.py$")
"""Below these frames stands whoever runs the loop: the same for all of its tasks, and too dear to be walked for each."""
_MAKER = 2
"""How many frames up from ``Sites.site_of_new_task`` the code is that makes the task."""
_Way = tuple[CodeType, tuple[tuple[int, CodeType], ...], tuple[int, CodeType] | None]
"""The code that made a task; how many frames up the project's were, and whose; the same of the frame that ends the walk."""
_get_frame = sys._getframe  # noqa: SLF001 - documented, and the only way to a frame


class Sites:
    """Walks the stack, as shortly as it can: a suite makes tasks by the hundred thousand."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kinds: dict[str, str] = {}
        self._learnt: dict[int, _Way] = {}
        """By the identity of the code that makes tasks, for a code's own hash is dear."""
        self._ensure_future: CodeType | None = None
        self._wait_for: CodeType | None = None

    def site(self, depth: int, *, past_pytest: bool = False) -> Site:
        """The nearest frames of the project, from so many frames up; of pytest's own the first may be passed by."""
        return self._walk(_get_frame(depth), past_pytest=past_pytest)

    def know_asyncio(self) -> None:
        """To be called once somebody has loaded it."""
        from asyncio import tasks  # noqa: PLC0415 - as said

        # Up to Python 3.11: later a timeout needs no task.
        self._ensure_future = getattr(getattr(tasks, "_ensure_future", None), "__code__", None)
        self._wait_for = tasks.wait_for.__code__

    def site_of_new_task(self) -> Site | None:
        """The same for a task, asked by what stands in the place of ``create_task``; None where it cannot outlive its maker.

        A library makes its tasks as many frames above the project's as it did the time before: there it is looked first.
        """
        frame = _get_frame(_MAKER)
        maker = frame.f_code
        if maker is self._ensure_future and _get_frame(_MAKER + 2).f_code is self._wait_for:  # which awaits it in any case
            return None
        way = self._learnt.get(id(maker))
        if way is None or way[0] is not maker:
            return self._learn(frame)
        _, own, end = way
        site = []
        try:
            for depth, code in own:
                frame = _get_frame(depth)
                if frame.f_code is not code:
                    return self._learn(_get_frame(_MAKER))
                site.append((code, frame.f_lasti))
            if end is not None and _get_frame(end[0]).f_code is not end[1]:
                return self._learn(_get_frame(_MAKER))
        except ValueError:  # the stack is not even that deep
            return self._learn(_get_frame(_MAKER))
        return tuple(site)

    def _learn(self, maker: FrameType) -> Site:
        """Walk the whole way, and remember where the project's frames were, and what was below them."""
        site = tuple([(code, at) for code, at in self._walk(maker) if self._kind_of(code.co_filename) is _OWN])
        if not site:
            return self._walk(maker)
        own: list[tuple[int, CodeType]] = []
        end: tuple[int, CodeType] | None = None
        depth = _MAKER
        frame: FrameType | None = maker
        while frame is not None and len(own) < _KEPT_FRAMES and end is None:
            kind = self._kind_of(frame.f_code.co_filename)
            if kind is _OWN:
                own.append((depth, frame.f_code))
            elif own and kind is not _FOREIGN:
                end = (depth, frame.f_code)
            frame = frame.f_back
            depth += 1
        self._learnt[id(maker.f_code)] = (maker.f_code, tuple(own), end)
        return site

    def _walk(self, frame: FrameType | None, *, past_pytest: bool = False) -> Site:
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
            elif not kept:
                kept.append((code, frame.f_lasti))
            frame = frame.f_back
        return tuple(kept)

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
