"""Descendants: what a process started, and what that started, found and ended with psutil."""

import contextlib
import os
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass

import psutil

if sys.platform == "win32":
    from ci_tools.host import guard_windows as guard
else:
    from ci_tools.host import guard_posix as guard

_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A process that was ended by ``end``, as people know it."""

    pid: int
    name: str
    command: str


def of(pid: int) -> set[psutil.Process]:
    """The descendants of a process; none of one that is gone."""
    try:
        return set(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return set()


def kill(processes: Collection[psutil.Process], *, guards_s: float) -> None:
    """Kill them, but first wait up to ``guards_s`` for guards among them: they end what they guard and remove its folders."""
    if any(_is_guard(process) for process in processes):
        psutil.wait_procs(processes, timeout=guards_s)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end(grace_s: float, *, spared: Collection[int], guards_s: float) -> tuple[Ended, ...]:
    """End every descendant of this process but the ``spared`` and their children: TERM first, KILL after ``grace_s``.

    Looked for again until none is left. Guards of descendants that died have ``guards_s`` more, to do their work.
    """
    ended: dict[int, Ended] = {}
    deadline = time.monotonic() + grace_s
    guards_deadline = deadline + guards_s
    while (found := _strays(spared)) and time.monotonic() < guards_deadline + 1:
        for process in found:
            with contextlib.suppress(psutil.Error):
                patience = guards_deadline if _is_guard(process) else deadline
                if process.pid not in ended:
                    ended[process.pid] = _describe(process)
                    process.terminate()
                if time.monotonic() >= patience:
                    process.kill()
        time.sleep(_PAUSE_S)
    return tuple(ended.values())


def born(pid: int) -> float | None:
    """When a process was created; None when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _strays(allow: Collection[int]) -> list[psutil.Process]:
    spared = set(allow)
    found = []
    for process in psutil.Process().children(recursive=True):  # parents come before their children
        with contextlib.suppress(psutil.Error):
            if process.pid in spared or process.ppid() in spared:
                spared.add(process.pid)
            elif not _is_reaped(process):
                found.append(process)
    return found


def _is_guard(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return guard.NAME in process.cmdline()
    return False


def _is_reaped(process: psutil.Process) -> bool:
    """Whether a child that has ended is out of the way: a zombie of ours is reaped here, others wait for their parent."""
    with contextlib.suppress(psutil.Error):
        if process.status() != psutil.STATUS_ZOMBIE:
            return False
        if sys.platform != "win32":
            with contextlib.suppress(ChildProcessError):
                # A zombie whose threads are still ending is not to be had yet: it is looked at again.
                return os.waitpid(process.pid, os.WNOHANG)[0] != 0
    return True


def _describe(process: psutil.Process) -> Ended:
    return Ended(pid=process.pid, name=process.name(), command=" ".join(process.cmdline()))
