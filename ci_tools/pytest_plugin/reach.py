"""Reach: who still holds an object, a living fixture or a module. Asked only about what already looks like a leak."""

import gc
import sys
from collections import deque
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from types import FrameType, FunctionType, ModuleType

MOST_OBJECTS = 20_000
"""Objects looked at before the answer is no: a bound on time, not on truth."""
_FURTHEST = 10
_FURTHEST_IN_LIBRARIES = 20
"""A cache behind a decorator that remembers an object that remembers another: nobody's text shows how deep."""
_OURS = "ci_tools.pytest_plugin"
_WIDEST = 500
_REGISTERS = frozenset({"weakref", "multiprocessing.util"})
"""What they know is to be cleaned up some day, and meant for nobody's use."""


def holder_of(target: object, values: Sequence[object]) -> str:
    """The types on a way from one of the values to ``target``, or its own; not by loops, classes and modules; else empty."""
    front: list[tuple[object, tuple[str, ...]]] = [(value, (type(value).__name__,)) for value in values]
    if any(value is target for value in values):
        return type(target).__name__
    seen = {id(value) for value in values}
    while front and len(seen) < MOST_OBJECTS:
        found: list[tuple[object, tuple[str, ...]]] = []
        for thing, way in front:
            for referent in _referents(thing):
                if referent is target:
                    return " → ".join(way)
                if id(referent) not in seen:
                    seen.add(id(referent))
                    found.append((referent, (*way, type(referent).__name__)))
        front = found
    return ""


def keeper_of(target: object, test_path: Path | None, is_meant: Callable[[str], bool] | None = None) -> str:
    """The module whose global leads to ``target``, of all or of those whose file is meant; empty when there is none.

    In the test's own module a plain container or a class does not count: that is where a test puts what it forgets.
    """
    modules = {
        id(vars(module)): name
        for name, module in tuple(sys.modules.items())
        if isinstance(module, ModuleType) and not name.startswith(_OURS)  # what we know about a class keeps nothing
    }
    front: list[object] = [target]
    seen = {id(target), id(front)}
    for _ in range(_FURTHEST if is_meant is None else _FURTHEST_IN_LIBRARIES):
        found: list[object] = []
        for referrer in gc.get_referrers(*front):
            if id(referrer) in seen or referrer is front or referrer is found:
                continue
            seen.add(id(referrer))
            name = modules.get(id(referrer))
            if name in _REGISTERS:
                continue
            if name is not None:
                is_one = is_meant is None or is_meant(getattr(sys.modules.get(name), "__file__", None) or "")
                if is_one and _counts(name, front, referrer, test_path):
                    return name
            elif not isinstance(referrer, (FrameType, ModuleType)) and not _is_crossroads(referrer):
                found.append(referrer)
        if not found or len(found) > _WIDEST:
            return ""
        seen.add(id(found))
        front = found
    return ""


def kin_of(target: object, packages: Container[str]) -> str:
    """The package, of these, whose object holds ``target`` most closely; empty when none does."""
    front: list[object] = [target]
    seen = {id(target), id(front)}
    for _ in range(_FURTHEST):
        found: list[object] = []
        for referrer in gc.get_referrers(*front):
            if id(referrer) in seen or referrer is found or isinstance(referrer, (FrameType, ModuleType, type)):
                continue
            seen.add(id(referrer))
            package = type(referrer).__module__.partition(".")[0]
            if package in packages:
                return package
            if not _is_crossroads(referrer):
                found.append(referrer)
        if not found or len(found) > _WIDEST:
            return ""
        seen.add(id(found))
        front = found
    return ""


def _counts(name: str, front: Sequence[object], contents: object, test_path: Path | None) -> bool:
    module = sys.modules.get(name)
    if test_path is None or module is None or getattr(module, "__file__", None) != str(test_path):
        return True
    held = {id(thing) for thing in front}
    values = [value for value in vars(module).values() if id(value) in held]
    return contents is vars(module) and any(not isinstance(value, (list, dict, set, deque, tuple, type)) for value in values)


def _referents(thing: object) -> Sequence[object]:
    if isinstance(thing, (type, ModuleType, str, bytes, int, float)) or _is_crossroads(thing):
        return ()
    if isinstance(thing, FunctionType):  # its globals are its module
        return [*(thing.__closure__ or ()), *(thing.__defaults__ or ())]
    return gc.get_referents(thing)


def _is_crossroads(thing: object) -> bool:
    """Whether everything can be reached from it: an event loop or its policy, pytest's own objects, ours."""
    kind = type(thing)
    return (
        hasattr(kind, "run_until_complete")
        or hasattr(kind, "new_event_loop")
        or kind.__module__.startswith(("_pytest.", "pluggy.", "ci_tools."))
    )
