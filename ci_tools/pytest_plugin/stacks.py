"""Stacks: where every thread and every asyncio task of this process is right now."""

import re
import sys
import threading
import traceback
from collections.abc import Iterable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

LONGEST_STACKS = 200_000
"""Characters of stacks that one event carries."""
_DEEPEST_CHAIN = 50
_MACHINERY = re.compile(r"[\\/](_pytest|pluggy|execnet|xdist|pytest_timeout\.py|ci_tools[\\/]pytest_plugin)([\\/]|$)")


def render_stacks(loops: Iterable["asyncio.AbstractEventLoop"] = ()) -> str:
    """All threads, the current one last, and all asyncio tasks with their await chains; never raises."""
    parts = []
    try:
        parts.append(_render_threads())
    except Exception as error:  # noqa: BLE001 - a half picture is better than none, and this runs when all is lost
        parts.append(f"<threads could not be read: {error!r}>")
    try:
        parts.append(_render_tasks(loops))
    except Exception as error:  # noqa: BLE001 - as above: the loop's own thread may change what is read here
        parts.append(f"<asyncio tasks could not be read: {error!r}>")
    return "\n".join(part for part in parts if part)[:LONGEST_STACKS]


def render_current() -> str:
    """The calling thread's stack alone."""
    return "\n".join(_render_frame(sys._getframe(1)))  # noqa: SLF001 - documented, and the only way to a frame


def _render_threads() -> str:
    current = threading.get_ident()
    threads = {thread.ident: thread for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - documented for exactly this
    lines = []
    for ident, frame in sorted(frames.items(), key=lambda pair: pair[0] == current):
        thread = threads.get(ident)
        name = thread.name if thread else "not started by Python"
        kind = ", daemon" if thread and thread.daemon else ""
        here = ", wrote this" if ident == current else ""
        lines.append(f"--- thread {name} ({ident}{kind}{here})")
        lines += _render_frame(frame)
    return "\n".join(lines)


def _render_frame(frame: FrameType) -> list[str]:
    lines: list[str] = []
    hidden = 0
    for summary in traceback.extract_stack(frame):
        if _MACHINERY.search(summary.filename):
            hidden += 1
            continue
        if hidden:
            lines.append(f"  … {hidden} frame(s) of pytest …")
            hidden = 0
        lines += "".join(traceback.format_list([summary])).rstrip("\n").split("\n")
    return lines


def _render_tasks(loops: Iterable["asyncio.AbstractEventLoop"]) -> str:
    import asyncio  # noqa: PLC0415 - it is loaded already, or there is nothing to show

    lines: list[str] = []
    for loop in loops:
        tasks = [] if loop.is_closed() else sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        if tasks:
            lines.append(f"--- asyncio: {len(tasks)} task(s) on {loop!r}")
        for task in tasks:
            lines.append(f"  task {task.get_name()}{_waits_for(task)}")
            lines += [f"    {line}" for line in await_chain(task.get_coro())]
    return "\n".join(lines)


def await_chain(awaitable: object) -> list[str]:
    """Each coroutine that waits for the next one, outermost first: ``in serve (app.py:12)``."""
    lines: list[str] = []
    while awaitable is not None and len(lines) < _DEEPEST_CHAIN:
        frame = (
            getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None) or getattr(awaitable, "ag_frame", None)
        )
        if frame is not None:
            code = frame.f_code
            lines.append(f"in {code.co_qualname} ({code.co_filename}:{frame.f_lineno})")
        awaitable = (
            getattr(awaitable, "cr_await", None)
            or getattr(awaitable, "gi_yieldfrom", None)
            or getattr(awaitable, "ag_await", None)
        )
    return lines


def _waits_for(task: "asyncio.Task[object]") -> str:
    # The only place where asyncio keeps it before 3.14; where it is gone, the line is shorter.
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None:
        return ""
    name = getattr(waiter, "get_name", None)
    return f", waits for task {name()}" if name else f", waits for {type(waiter).__name__}"
