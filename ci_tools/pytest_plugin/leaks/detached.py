"""Detached children: a daemon that forked twice, what a shell left in the background, a grandchild in a session of its own.

Their parent has ended, so no tree leads from this process to them. What leads there is what they inherited: pytest's variable
with the test's name in the environment that they were started with; of those that only forked, the number that the forked
copy of our function wrote into memory that both share. Asked only about an owner that has started a child at all, and only
among processes that are not older than that child.
"""

import contextlib
import mmap
import os
import struct
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.leaks.births import birth_of, may_have_inherited, now
from ci_tools.pytest_plugin.owners import Made

if TYPE_CHECKING:
    import psutil

CONTAIN_S = 1.0
_POLL_S = 0.005
_BECOMING_S = 1.0
"""Whoever is older than this has become what it is."""
_MARK = "PYTEST_CURRENT_TEST"
_LONGEST_COMMAND = 200
_GRANDCHILD = struct.Struct("=qd")
"""A process number, and the birth of whoever had it: the number may be another's by now. The first is their count."""
_MOST_GRANDCHILDREN = 255
_GRANDCHILDREN: "list[mmap.mmap]" = []
_OWN = os.getpid()


_PR_GET_CHILD_SUBREAPER = 37  # from linux/prctl.h
_INIT = 1

ANSWERED_FOR: set[int] = set()
"""Children of this process that no test has started: a library's own, the toolkit's own."""

MARK_VARIABLE = "CI_TOOLS_TESTED_BY"
"""Which process runs the test, in the environment of whatever it starts."""


@dataclass(slots=True, eq=False)
class Child(Made):
    """A child process, and the moment just before it was started (``births.now``)."""

    began: float


def prepare_for_forks() -> None:
    """Share some memory with what is forked from now on."""
    if not _GRANDCHILDREN:
        with contextlib.suppress(OSError):  # no memory: then a daemon of that fork is not seen
            _GRANDCHILDREN.append(mmap.mmap(-1, _GRANDCHILD.size * (_MOST_GRANDCHILDREN + 1)))


def note_grandchild(pid: int) -> None:
    """In a forked child: it has forked too."""
    if os.getpid() == _OWN or not _GRANDCHILDREN:
        return
    shared = _GRANDCHILDREN[0]
    count, _ = _GRANDCHILD.unpack_from(shared)
    place = count % _MOST_GRANDCHILDREN + 1
    _GRANDCHILD.pack_into(shared, place * _GRANDCHILD.size, pid, birth_of(pid) or 0.0)
    _GRANDCHILD.pack_into(shared, 0, count + 1, 0.0)


def descendants_left(started: Sequence[Child], living: Sequence[Child]) -> "list[tuple[psutil.Process, Child]]":
    """Living processes that these children have started and left, each with the child that most probably did.

    ``living`` are the children of fixtures that live on: a process is nobody else's that was started after one of those.
    """
    makers = (*started, *living)
    known = {pid_of(made) for made in makers} | {_OWN}
    first = min(made.began for made in started)
    forked, mark = _grandchildren(), f"{MARK_VARIABLE}={_OWN}".encode()
    births = {
        pid: birth
        for pid in _numbers()
        if pid not in known and (birth := birth_of(pid)) is not None and birth >= first
        if (pid, birth) in forked or may_have_inherited(pid, mark)
    }
    if not births:
        return []
    import psutil  # noqa: PLC0415 - only where something younger than a child of the test may be its own

    found = []
    for pid, birth in births.items():
        with contextlib.suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            is_left = is_adopted(process) or not _is_in_tree(process, known)
            if is_left and ((pid, birth) in forked or _was_started_here(process, birth)):
                maker = _maker_of(pid, birth, makers)
                if process.status() != psutil.STATUS_ZOMBIE and any(maker is made for made in started):
                    found.append((process, maker))
    return found


def is_adopted(process: "psutil.Process") -> bool:
    """Whether it is an orphan that has become a child of this process, as it does where pytest is a container's first."""
    return process.ppid() == _OWN and process.pid not in ANSWERED_FOR and _takes_orphans()


def _takes_orphans() -> bool:
    if sys.platform != "linux":
        return _OWN == _INIT
    import ctypes  # noqa: PLC0415 - only where somebody's child is left

    answer = ctypes.c_int()
    ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return _OWN == _INIT or bool(answer.value)


def _maker_of(pid: int, birth: float, makers: Sequence[Child]) -> Child:
    """The latest of those that had begun; of several within one grain of the clock the number before its own."""
    begun = [made for made in makers if made.began <= birth]
    return max(begun, key=lambda made: (made.began, pid_of(made) < pid, pid_of(made)))


def pid_of(made: Made) -> int:
    """The child's number; 0 where it has none, or has given it up."""
    try:
        return int(made.thing.pid or 0)
    except ValueError:  # multiprocessing's, closed
        return 0


def command_of(process: "psutil.Process") -> str:
    """Its command line, or its name."""
    import psutil  # noqa: PLC0415 - loaded already

    try:
        return (" ".join(process.cmdline()) or process.name())[:_LONGEST_COMMAND]
    except psutil.Error:
        return "?"


def end_detached(process: "psutil.Process") -> str:
    """Kill it; what could not be done is said."""
    import psutil  # noqa: PLC0415 - as above

    try:
        for one in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        pause, deadline = threading.Event(), CLOCK.monotonic() + CONTAIN_S
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:  # whoever is its parent now may wait for it
            if CLOCK.monotonic() > deadline:
                return "it could not be ended"
            pause.wait(_POLL_S)
        if is_adopted(process):
            with contextlib.suppress(ChildProcessError):  # whoever else waits for every child may be faster
                os.waitpid(process.pid, 0)
    except psutil.NoSuchProcess:
        return ""
    except psutil.Error as error:
        return f"it could not be ended: {error}"
    return ""


def _numbers() -> Sequence[int]:
    if sys.platform == "linux":
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - a Path for each is dear
    import psutil  # noqa: PLC0415 - elsewhere

    return psutil.pids()


def _was_started_here(process: "psutil.Process", birth: float) -> bool:
    """Whether it inherited the name of a test of this very run: only this process has set it with its own number."""
    environment = process.environ()
    pause = threading.Event()
    deadline = CLOCK.monotonic() + min(_BECOMING_S, _BECOMING_S - (now() - birth))  # also where the system's clock was set back
    # While it is becoming another program it has no environment: for a moment, or for as long as nobody lets it run.
    while not environment and CLOCK.monotonic() < deadline and process.status() != "zombie":
        pause.wait(_POLL_S)
        environment = process.environ()
    return _MARK in environment and environment.get(MARK_VARIABLE) == str(_OWN)


def _is_in_tree(process: "psutil.Process", known: set[int]) -> bool:
    """Whether its ancestors lead to this process or to a child that is known: then it is that child's affair."""
    return any(parent.pid in known for parent in process.parents())


def _grandchildren() -> frozenset[tuple[int, float]]:
    if not _GRANDCHILDREN:
        return frozenset()
    shared = _GRANDCHILDREN[0]
    count, _ = _GRANDCHILD.unpack_from(shared)
    places = range(1, min(count, _MOST_GRANDCHILDREN) + 1)
    return frozenset(_GRANDCHILD.unpack_from(shared, place * _GRANDCHILD.size) for place in places)
