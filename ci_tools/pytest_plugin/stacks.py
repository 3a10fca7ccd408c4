"""Stacks: where every thread and every asyncio task of this process is right now."""

import gc
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

LONGEST_STACKS = 200_000
"""Characters of stacks that one event carries."""
_DEEPEST_CHAIN = 50
_STEPS = frozenset({"async_generator_asend", "async_generator_athrow"})
_MACHINERY = re.compile(r"[\\/](_pytest|pluggy|execnet|xdist|pytest_timeout\.py|ci_tools[\\/]pytest_plugin)([\\/\"]|$)")


def render_stacks(loops: Iterable["asyncio.AbstractEventLoop"] = ()) -> str:
    """All threads but the calling one, and the tasks of these loops with their await chains; never raises."""
    parts = []
    try:
        parts.append(_render_threads())
    except Exception as error:  # noqa: BLE001 - a half picture is better than none, and this runs when all is lost
        parts.append(f"<threads could not be read: {error!r}>")
    try:
        parts.append(_render_tasks(loops))
    except Exception as error:  # noqa: BLE001 - as above: the loop's own thread may change what is read here
        parts.append(f"<asyncio tasks could not be read: {error!r}>")
    try:
        parts.append(_render_trio())
    except Exception as error:  # noqa: BLE001 - as above
        parts.append(f"<trio's tasks could not be read: {error!r}>")
    return "\n".join(part for part in parts if part)[:LONGEST_STACKS]


def render_current() -> str:
    """The calling thread's stack alone."""
    return "\n".join(_render_frame(sys._getframe(1)))  # noqa: SLF001 - documented, and the only way to a frame


def trim_dump(text: str) -> str:
    """What faulthandler wrote, without the frames of pytest."""
    lines = [line for line in text.splitlines() if not (line.startswith("  File") and _MACHINERY.search(line))]
    return "\n".join(lines).strip()


def _render_threads() -> str:
    current = threading.get_ident()
    threads = {thread.ident: thread for thread in threading.enumerate()}
    lines = []
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - documented for exactly this
        if ident == current:
            continue
        thread = threads.get(ident)
        name = thread.name if thread else "not started by Python"
        kind = ", daemon" if thread and thread.daemon else ""
        lines.append(f"--- thread {name} ({ident}{kind})")
        lines += _render_frame(frame)
        waits = _waited_for(frame)
        if waits:
            lines.append(f"  waits for {waits}")
    return "\n".join(lines)


def _waited_for(frame: FrameType) -> str:
    try:
        from ci_tools.pytest_plugin.locks import waits_for  # noqa: PLC0415 - only when something hangs

        return waits_for(frame)
    except Exception:  # noqa: BLE001 - no file may be opened any more, or an object of the code under test has no text
        return ""


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
    for loop in dict.fromkeys((*loops, *_running_loops())):
        tasks = [] if loop.is_closed() else sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
        if tasks:
            lines.append(f"--- asyncio: {len(tasks)} task(s) on {loop!r}")
        for task in tasks:
            lines.append(f"  task {task.get_name()}{_waits_for(task)}")
            lines += [f"    {line}" for line in await_chain(task.get_coro())]
            waits = _lock_of(task.get_coro())
            if waits:
                lines.append(f"    waits for {waits}")
    return "\n".join(lines)


def _render_trio() -> str:
    """Trio tells a thread's tasks only to that thread itself: they are looked for among all objects."""
    lowlevel = sys.modules.get("trio.lowlevel")
    if lowlevel is None:
        return ""
    chains = {
        task.name: await_chain(task.coro)
        for task in gc.get_objects()
        if isinstance(task, lowlevel.Task) and getattr(task.coro, "cr_frame", None) is not None
    }
    lines = [f"--- trio: {len(chains)} task(s)"] if chains else []
    for name, chain in sorted(chains.items()):
        lines.append(f"  task {name}")
        lines += [f"    {line}" for line in chain]
    return "\n".join(lines)


def _running_loops() -> Iterator["asyncio.AbstractEventLoop"]:
    """The loops that threads run right now, from their frames: uvloop's, too, and those that nobody has noted."""
    import asyncio  # noqa: PLC0415 - as above

    for start in sys._current_frames().values():  # noqa: SLF001 - documented for exactly this
        frame: FrameType | None = start
        while frame is not None:
            if frame.f_code.co_name.startswith("run"):
                running = frame.f_locals.get("self")
                for value in (frame.f_locals.get("loop"), running, getattr(running, "_loop", None)):
                    if isinstance(value, asyncio.AbstractEventLoop):
                        yield value
            frame = frame.f_back


def _lock_of(awaitable: object) -> str:
    """The asyncio lock, event, semaphore, condition or queue in whose method the innermost coroutine stands."""
    frames = list(_await_frames(awaitable))
    if not frames or not frames[-1].f_globals.get("__name__", "").startswith(("asyncio.locks", "asyncio.queues")):
        return ""
    try:
        return repr(frames[-1].f_locals.get("self"))
    except Exception:  # noqa: BLE001 - as above
        return ""


def await_chain(awaitable: object) -> list[str]:
    """Each coroutine that waits for the next one, outermost first: ``in serve (app.py:12)``."""
    return [f"in {frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})" for frame in _await_frames(awaitable)]


def await_codes(awaitable: object) -> list[CodeType]:
    """The code of each coroutine in the chain."""
    return [frame.f_code for frame in _await_frames(awaitable)]


def _await_frames(awaitable: object) -> Iterator[FrameType]:
    for _ in range(_DEEPEST_CHAIN):
        for prefix, waits_for in (("cr", "cr_await"), ("gi", "gi_yieldfrom"), ("ag", "ag_await")):
            if hasattr(awaitable, waits_for):
                frame = getattr(awaitable, f"{prefix}_frame")
                if frame is not None:
                    yield frame
                awaitable = getattr(awaitable, waits_for)
                break
        else:
            if type(awaitable).__name__ not in _STEPS:
                return
            # A step of an asynchronous generator does not say of which: it holds nothing else.
            awaitable = next((one for one in gc.get_referents(awaitable) if hasattr(one, "ag_frame")), None)


def _waits_for(task: "asyncio.Task[object]") -> str:
    # The only place where asyncio keeps it before 3.14; where it is gone, the line is shorter.
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None:
        return ""
    name = getattr(waiter, "get_name", None)
    return f", waits for task {name()}" if name else f", waits for {type(waiter).__name__}"
