"""The scene of a hang: the fixture, all stacks and tasks, the children, and what was printed last."""

import contextlib
import inspect
import io
import os
import stat
import sys
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from ci_tools.pytest_plugin.stacks import render_stacks

if TYPE_CHECKING:
    import asyncio

_LAST_CHARACTERS = 2000
"""What is shown of each of the two streams, from its end."""
_MOST_CHILDREN = 30


def render_scene(loops: Iterable["asyncio.AbstractEventLoop"]) -> str:
    """Everything that can be seen from the watchdog's thread; never raises, and takes nothing away from anybody."""
    parts = [render_fixture(), render_stacks(loops), *(f"--- child {child}" for child in children()), _last_output()]
    return "\n".join(part for part in parts if part)


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
    """Every living descendant of this process: pid and command."""
    import psutil  # noqa: PLC0415 - only when something hangs

    lines = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True)[:_MOST_CHILDREN]:
            with contextlib.suppress(psutil.Error):
                lines.append(f"{child.pid} {' '.join(child.cmdline()) or child.name()}")
    return lines


def end_children() -> None:
    """Kill every descendant."""
    import psutil  # noqa: PLC0415 - as above

    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()


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
