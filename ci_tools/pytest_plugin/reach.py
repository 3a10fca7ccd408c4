"""Reach: who still holds an object, a living fixture or a module. Asked only about what already looks like a leak."""

import dis
import gc
import sys
from collections import deque
from collections.abc import Callable, Container, Sequence
from types import FrameType, FunctionType, ModuleType

import pytest

from ci_tools.pytest_plugin.owners import Owner, Site

MOST_OBJECTS = 20_000
"""Objects looked at before the answer is no: a bound on time, not on truth."""
_FURTHEST = 10
_FURTHEST_IN_LIBRARIES = 20
"""A cache behind a decorator that remembers an object that remembers another: nobody's text shows how deep."""
_FURTHEST_STORED = 5
"""A global, its executor, that one's processes, the object that started each of them, its pipes."""
_OURS = "ci_tools.pytest_plugin"
_WIDEST = 500
_MOST_FROM_KNOWN = 5_000
_known: "deque[tuple[str, str]]" = deque(maxlen=8)
"""Globals that kept something: module and name, the latest first."""
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


def keeper_of(target: object, files: Container[str], is_meant: Callable[[str], bool] | None = None) -> str:
    """The module whose global leads to ``target``, of all or of those whose file is meant; empty when there is none.

    In these files a plain container or a class does not count: in its own module a test puts what it forgets.
    """
    modules = {
        id(vars(module)): name
        for name, module in tuple(sys.modules.items())
        if isinstance(module, ModuleType) and not name.startswith(_OURS)  # what we know about a class keeps nothing
    }
    known = _known_keeper_of(target, files, is_meant)
    if known:
        return known
    front: tuple[object, ...] = (target,)  # what is handed over is a referrer of its own: on 3.13 the collector counts it
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
                if is_one and _counts(name, front, referrer, files):
                    _learn(name, front)
                    return name
            elif not isinstance(referrer, (FrameType, ModuleType)) and not _is_crossroads(referrer):
                found.append(referrer)
        if not found or len(found) > _WIDEST:
            return ""
        front = tuple(found)
        seen.add(id(front))
    return ""


def _known_keeper_of(target: object, files: Container[str], is_meant: Callable[[str], bool] | None) -> str:
    for name, attribute in tuple(_known):
        module = sys.modules.get(name)
        value = getattr(module, "__dict__", {}).get(attribute)
        if value is None or (is_meant is not None and not is_meant(getattr(module, "__file__", None) or "")):
            continue
        if _leads_to(value, target) and _counts(name, [value], vars(module), files):
            return name
    return ""


def _learn(name: str, front: Sequence[object]) -> None:
    """What keeps one thing mostly keeps the next: the way from there is short, and each step back is a look at all objects."""
    held = {id(thing) for thing in front}
    attribute = next((key for key, value in tuple(vars(sys.modules[name]).items()) if id(value) in held), None)
    if attribute is not None and (name, attribute) not in _known:
        _known.appendleft((name, attribute))


def _leads_to(value: object, target: object) -> bool:
    """Whether a short walk from the value comes by the target, by no way that the walk back would not take."""
    front = [value]
    seen = {id(value)}
    for _ in range(_FURTHEST):
        found: list[object] = []
        for thing in front:
            if thing is target:
                return True
            for referent in () if isinstance(thing, FrameType) else _referents(thing):
                if id(referent) not in seen:
                    seen.add(id(referent))
                    found.append(referent)
        if len(seen) > _MOST_FROM_KNOWN:
            break
        front = found
    return any(thing is target for thing in front)


def is_forgotten(target: object) -> bool:
    """Whether only what nobody can reach any more holds ``target``: a cycle that the collector has not come by yet.

    An exception that was raised past it is one such: its traceback has the frame, and the frame often the exception.
    What only a running function holds cannot be seen: ask when the test is over.
    """
    ends = {id(vars(module)) for module in tuple(sys.modules.values()) if isinstance(module, ModuleType)}
    front: tuple[object, ...] = (target,)  # what is handed over is a referrer of its own: on 3.13 the collector counts it
    seen = {id(target), id(front)}
    while front:
        found: list[object] = []
        for referrer in gc.get_referrers(*front):
            if id(referrer) in seen or referrer is found:
                continue
            seen.add(id(referrer))
            if id(referrer) in ends or isinstance(referrer, (ModuleType, type)) or _is_crossroads(referrer):
                return False
            found.append(referrer)
        if len(seen) > _WIDEST:
            return False
        front = tuple(found)
        seen.add(id(front))
    return True


def kin_of(target: object, packages: Container[str]) -> str:
    """The package, of these, whose object holds ``target`` most closely; empty when none does."""
    front: tuple[object, ...] = (target,)  # what is handed over is a referrer of its own: on 3.13 the collector counts it
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
        front = tuple(found)
        seen.add(id(front))
    return ""


def _counts(name: str, front: Sequence[object], contents: object, files: Container[str]) -> bool:
    module = sys.modules.get(name)
    if module is None or getattr(module, "__file__", None) not in files:
        return True
    held = {id(thing) for thing in front}
    values = [value for value in vars(module).values() if id(value) in held]
    return contents is vars(module) and any(not isinstance(value, (list, dict, set, deque, tuple, type)) for value in values)


def forgetful_files(item: pytest.Item, owner: Owner, site: Site) -> frozenset[str]:
    """The files in which a container keeps nothing: the test's own, and those of a session's fixture: nobody comes after it."""
    return frozenset((str(item.path), *([code.co_filename for code, _ in site] if owner.scope == "session" else ())))


def is_stored(site: Site, is_it: Callable[[object], bool], values: Sequence[object]) -> bool:
    """Whether what the code of this site made is still where its text puts it. For numbers and paths: nothing refers to those.

    That is a module's global, or an attribute of what a living fixture gave or a global of the same package leads to: a pool may
    have a dictionary of processes that each have their pipes.
    """
    steps = [step for code, _ in site for step in dis.get_instructions(code)]
    stored = {str(step.argval) for step in steps if step.opname == "STORE_GLOBAL"}
    attributes = {str(step.argval) for step in steps if step.opname == "STORE_ATTR"}
    if not stored and not attributes:
        return False
    files = {code.co_filename for code, _ in site}
    loaded = tuple(sys.modules.items())
    own = {name: vars(module) for name, module in loaded if getattr(module, "__file__", None) in files}
    if any(is_it(names[name]) for names in own.values() for name in stored if name in names):
        return True
    packages = {name.partition(".")[0] for name in own}
    kin = [getattr(module, "__dict__", {}) for name, module in loaded if name.partition(".")[0] in packages]
    front = [*values, *(value for names in kin for value in tuple(names.values()))]
    seen = {id(holder) for holder in front}
    for _ in range(_FURTHEST_STORED):
        found: list[object] = []
        for holder in front:
            inner = _attributes_of(holder)
            if any(is_it(inner[name]) for name in attributes if name in inner):
                return True
            for value in tuple(inner.values()):
                found += [value, *_contents_of(value)]
        front = [value for value in found if id(value) not in seen and hasattr(value, "__dict__")]
        seen.update(map(id, front))
        if len(seen) > MOST_OBJECTS:
            break
    return False


def _contents_of(thing: object) -> Sequence[object]:
    if isinstance(thing, dict):
        return tuple(thing.values())
    return tuple(thing) if isinstance(thing, (list, tuple, set, frozenset, deque)) else ()


def _attributes_of(thing: object) -> dict[str, object]:
    found = getattr(thing, "__dict__", None)
    return found if isinstance(found, dict) and not isinstance(thing, ModuleType) else {}


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
