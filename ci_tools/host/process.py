"""Processes that never outlive their parent: started under a guard, ended as a whole group.

A guarded child runs in a session of its own (Windows: in a job). A guard ends it when this process is gone,
however it went: SIGKILL and ``os._exit`` included. ``docs/design/services.md`` says how and why.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

if sys.platform == "win32":
    from ci_tools.host import guard_windows as guard
else:
    from ci_tools.host import guard_posix as guard

if TYPE_CHECKING:
    import psutil

    from ci_tools.host.descendants import Ended

EndSignal = Literal["INT", "TERM", "QUIT", "KILL"]
"""What a guarded process gets first when it is to end; KILL follows after the grace period."""

GUARD_GRACE_S = 1.0
"""What the guard allows between the first signal and KILL once this process is gone."""

PARENT_POLL_S = 0.2
"""How often ``watch_parent`` looks where the system does not wake it (Linux does): a dead parent is noticed within 0.5 s."""

_DETACH_TIMEOUT_S = 10.0
_PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h

_running: dict[int, "GuardedProcess"] = {}


class GuardedProcess:
    """A running child under its guard. As a context manager it is ended on the way out."""

    def __init__(
        self, launched: guard.Launched, *, argv: Sequence[str], end_signal: EndSignal, output: Path, cleanup: tuple[Path, ...]
    ) -> None:
        self.argv = tuple(argv)
        self.output = output
        self.pid = launched.pid
        self.guard_pid = launched.guard_pid
        self._cleanup = cleanup
        self._end_signal = end_signal
        self._launched = launched
        self._owner_pid = os.getpid()
        self._returncode: int | None = None
        self._lock = threading.Lock()
        _running[self.pid] = self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end(GUARD_GRACE_S)

    def poll(self) -> int | None:
        """The child's return code, negative for a signal; None while it runs. It is not reaped: its pid stays its own."""
        if self._returncode is not None:
            return self._returncode
        return guard.returncode(self._launched)

    def wait(self, timeout_s: float) -> int | None:
        """The return code, or None when the child still runs after ``timeout_s``."""
        return self._returncode if self._returncode is not None else guard.wait(self._launched, timeout_s)

    def end(self, grace_s: float) -> int:
        """End the child, its group, its session and its descendants; the return code. Twice is the same as once.

        The end signal goes to the group first; whatever is left after ``grace_s`` is killed. A forked child that
        inherited this object ends nothing: the process belongs to whoever started it.
        """
        if os.getpid() != self._owner_pid:
            return self._returncode or 0
        with self._lock:
            if self._returncode is None:
                self._returncode = self._end(grace_s)
                _running.pop(self.pid, None)
            return self._returncode

    def _end(self, grace_s: float) -> int:
        outside = self._descendants()
        if self.poll() is None and grace_s > 0:
            guard.ask(self._launched, self._end_signal)
            self.wait(grace_s)
            outside |= self._descendants()
        guard.kill(self._launched)
        code = guard.reap(self._launched)
        if outside:
            from ci_tools.host import descendants  # noqa: PLC0415 - see end_descendants

            descendants.kill(outside, guards_s=GUARD_GRACE_S + 1)
        for path in self._cleanup:
            _remove(path)
        guard.release(self._launched)
        return code

    def _descendants(self) -> "set[psutil.Process]":
        """What the child started, as long as that can be told."""
        if not guard.may_have_children(self.pid):
            return set()
        from ci_tools.host import descendants  # noqa: PLC0415 - see end_descendants

        return descendants.of(self.pid)


def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    output: Path,
    end_signal: EndSignal = "TERM",
    cleanup: tuple[Path, ...] = (),
    user: int | None = None,
    group: int | None = None,
) -> GuardedProcess:
    """Start ``argv`` under a guard: standard input empty, both outputs appended to the file ``output``.

    ``cleanup`` are files and folders that are removed when the child is ended, by us or by the guard (POSIX) after our
    death.
    ``user`` and ``group`` (POSIX, root only) are the account it runs as.
    Raises FileNotFoundError when ``argv[0]`` is no program, OSError when the system refuses to start one.
    """
    program = shutil.which(argv[0], path=env.get("PATH"))
    if program is None:
        raise FileNotFoundError(f"{argv[0]} is no program that can be run")
    launched = guard.launch(
        [program, *argv[1:]],
        env=env,
        cwd=cwd,
        output=output,
        end_signal=end_signal,
        grace_s=GUARD_GRACE_S,
        cleanup=cleanup,
        user=user,
        group=group,
    )
    return GuardedProcess(launched, argv=argv, end_signal=end_signal, output=output, cleanup=cleanup)


def start_detached(argv: Sequence[str], *, env: Mapping[str, str], output: Path) -> int:
    """Start ``argv`` as nobody's child, so that it outlives us: standard input empty, output to a file; its pid."""
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        with output.open("wb") as sink:
            child = subprocess.Popen(
                list(argv), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=dict(env), creationflags=flags
            )
        child.returncode = 0  # nobody waits for it: without this Popen warns when it is collected
        return child.pid
    script = '"$@" >"$0" 2>&1 </dev/null & echo $!'
    shell = subprocess.run(
        ["/bin/sh", "-c", script, str(output), *argv],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        check=True,
        timeout=_DETACH_TIMEOUT_S,
    )
    return int(shell.stdout)


def become_subreaper() -> bool:
    """Make orphaned descendants ours instead of init's, so that ``end_descendants`` finds them; False where Linux is not."""
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 - a run's alone

    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def end_descendants(grace_s: float, *, allow: Collection[int] = ()) -> "tuple[Ended, ...]":
    """End every descendant of this process, but not guarded processes that still run nor ``allow`` (pids), nor their children.

    TERM first, KILL after ``grace_s``; looked for again until none is left, since ending one makes orphans of others.
    Guards of descendants that died are left to do their work first.
    """
    from ci_tools.host import descendants  # noqa: PLC0415 - psutil takes 10 ms to import: a third of a server's start

    return descendants.end(grace_s, spared=set(allow) | guard.guard_pids() | set(_running), guards_s=GUARD_GRACE_S + 1)


def watch_parent(callback: Callable[[], None], *, parent_pid: int | None = None) -> threading.Event:
    """Call ``callback`` once, from a daemon thread, when our parent is gone. Setting the returned event ends the watch.

    ``parent_pid`` is who the parent should be, when the caller was told; a parent that is gone already is noticed too.
    """
    expected = os.getppid() if parent_pid is None else parent_pid
    has_ended = _end_of_parent(expected)
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.is_set():
            if has_ended():
                callback()
                return
            if not _is_woken_by_end(expected):
                stopped.wait(PARENT_POLL_S)

    threading.Thread(target=watch, name="ci-tools-parent-watch", daemon=True).start()
    return stopped


def _end_of_parent(pid: int) -> Callable[[], bool]:
    """A question: whether this parent is gone. POSIX gives an orphan another one; on Windows it keeps the old one's pid."""
    if sys.platform != "win32":
        return lambda: os.getppid() != pid
    from ci_tools.host import descendants  # noqa: PLC0415 - see end_descendants

    born = descendants.born(pid)
    return lambda: born is None or descendants.born(pid) != born


def _is_woken_by_end(pid: int) -> bool:
    """Wait a while for another process to end; False where the system cannot wake us."""
    return sys.platform == "linux" and guard.await_end(pid, PARENT_POLL_S)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
