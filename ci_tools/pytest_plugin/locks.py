"""Locks: what a thread that stands still seems to wait for, by the names in its innermost frame."""

import asyncio.locks
import linecache
import queue
import re
import threading
from collections.abc import Iterator, Mapping
from types import FrameType

_WAITING = re.compile(r"\bwith\b|\b(acquire|wait|wait_for|join|get|put|result)\s*\(")
_OWNER = re.compile(r"owner=(\d+)")
_LOCKS = (type(threading.Lock()), type(threading.RLock()))


def waits_for(frame: FrameType) -> str:
    """``self.lock (<locked _thread.lock …>)`` and the like, with the thread that holds it where Python knows; empty otherwise."""
    names = threading.enumerate()
    module = frame.f_globals.get("__name__", "")
    if module == "threading":
        waiting = frame.f_locals.get("self")
        if isinstance(waiting, threading.Thread):
            return f"the end of thread {waiting.name}"
        outer = frame.f_back
        while outer is not None and outer.f_globals.get("__name__") in {"threading", "queue", "concurrent.futures._base"}:
            frame, outer = outer, outer.f_back
        if outer is None:
            return ""
        return _among(outer, names)
    if not _WAITING.search(linecache.getline(frame.f_code.co_filename, frame.f_lineno)):
        return ""
    return _among(frame, names)


def _among(frame: FrameType, threads: list[threading.Thread]) -> str:
    found = [f"{name} ({_describe(value, threads)})" for name, value in _named(frame) if _is_busy(value)]
    return ", ".join(dict.fromkeys(found))


def _named(frame: FrameType) -> Iterator[tuple[str, object]]:
    """The frame's variables, the attributes of its ``self``, and the globals that its code names."""
    variables = dict(frame.f_locals)
    yield from variables.items()
    attributes = getattr(variables.get("self"), "__dict__", None)
    if isinstance(attributes, dict):
        yield from ((f"self.{name}", value) for name, value in list(attributes.items()))
    namespace: Mapping[str, object] = frame.f_globals
    yield from ((name, namespace[name]) for name in frame.f_code.co_names if name in namespace)
    yield from ((name, value) for name, value in _of_classes(frame))


def _of_classes(frame: FrameType) -> Iterator[tuple[str, object]]:
    for name in frame.f_code.co_names:
        holder = frame.f_globals.get(name)
        if isinstance(holder, type):
            yield from ((f"{name}.{attribute}", value) for attribute, value in vars(holder).items())


def _is_busy(value: object) -> bool:
    match value:
        case threading.Event():
            return not value.is_set()
        case threading.Semaphore():
            return value._value == 0  # noqa: SLF001 - asking by acquire() would take it
        case threading.Condition():
            return True
        case queue.Queue():
            return value.empty() or value.full()
        case asyncio.locks.Lock():
            return value.locked()
        case _:
            return isinstance(value, _LOCKS) and "unlocked" not in repr(value)


def _describe(value: object, threads: list[threading.Thread]) -> str:
    text = repr(value)
    owner = _OWNER.search(text)
    if owner is not None:
        holder = next((thread.name for thread in threads if str(thread.ident) == owner[1]), f"thread {owner[1]}")
        return f"{text}, held by {holder}"
    return text
