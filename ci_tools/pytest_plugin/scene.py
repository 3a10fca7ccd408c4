"""The scene of a hang: the fixture, all stacks and tasks, the children, and what was printed last."""

import contextlib
import inspect
import io
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

from ci_tools.pytest_plugin.stacks import render_stacks

if TYPE_CHECKING:
    import asyncio

    import psutil

_LAST_CHARACTERS = 2000
"""What is shown of each of the two streams, from its end."""
_MOST_CHILDREN = 30


def render_scene(loops: Iterable["asyncio.AbstractEventLoop"]) -> str:
    """Everything that can be seen from the watchdog's thread; never raises, and takes nothing away from anybody."""
    parts: dict[str, Callable[[], str]] = {
        "fixture": render_fixture,
        "stacks": lambda: render_stacks(loops),
        "children": _children,
        "last output": _last_output,
    }
    return "\n".join(text for name, part in parts.items() if (text := _seen(name, part)))


def _seen(name: str, part: Callable[[], str]) -> str:
    """One part, or why it cannot be seen: the code under test may have left no descriptor and no memory to anybody."""
    try:
        return part()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are worth as much
        return f"--- {name}: could not be seen: {error!r}"


def render_fixture() -> str:
    """The fixture that the main thread sets up or tears down right now, innermost; empty where there is none."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001 - documented for exactly this
    while frame is not None:
        if frame.f_code.co_name in {"execute", "finish"} and frame.f_code.co_varnames[:1] == ("self",):
            fixture = frame.f_locals.get("self")
            if isinstance(fixture, pytest.FixtureDef):
                code = getattr(inspect.unwrap(fixture.func), "__code__", None)
                where = f" at {code.co_filename}:{code.co_firstlineno}" if code else ""
                part = "torn down" if frame.f_code.co_name == "finish" else "set up"
                return f"--- fixture {fixture.argname!r} (scope {fixture.scope}){where} is being {part}"
        frame = frame.f_back
    return ""


def children() -> list[str]:
    """Every living descendant of this process, as far as it can be seen: pid and command."""
    with contextlib.suppress(Exception):
        return [f"{child.pid} {_command_of(child)}" for child in _descendants()[:_MOST_CHILDREN]]
    return []


def end_children() -> None:
    """Kill every descendant that can be seen."""
    with contextlib.suppress(Exception):
        for child in _descendants():
            with contextlib.suppress(Exception):
                child.kill()


def _children() -> str:
    return "\n".join(f"--- child {child.pid} {_command_of(child)}" for child in _descendants()[:_MOST_CHILDREN])


def _descendants() -> "list[psutil.Process]":
    import psutil  # noqa: PLC0415 - only when something hangs

    return psutil.Process().children(recursive=True)


def _command_of(child: "psutil.Process") -> str:
    with contextlib.suppress(Exception):  # it has ended meanwhile
        return " ".join(child.cmdline()) or child.name()
    return "?"


def _last_output() -> str:
    parts = []
    for descriptor, name, stream in ((1, "stdout", sys.stdout), (2, "stderr", sys.stderr)):
        text = _tail_of(descriptor, stream).strip("\n")
        if text:
            parts.append(f"--- last output on {name}\n{text}")
    return "\n".join(parts)


def _tail_of(descriptor: int, stream: object) -> str:
    """The end of what pytest has captured: in memory (--capture=sys), or in the file that stands at the descriptor."""
    try:
        if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.BytesIO):
            return stream.buffer.getvalue()[-_LAST_CHARACTERS:].decode("utf-8", "replace")
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and hasattr(os, "pread"):
            start = max(status.st_size - _LAST_CHARACTERS, 0)
            return os.pread(descriptor, _LAST_CHARACTERS, start).decode("utf-8", "replace")
    except (OSError, ValueError):
        pass  # closed, or not ours to read
    return ""
