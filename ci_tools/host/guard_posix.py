"""The guard on POSIX: a shell that reads a pipe whose write end only this process holds.

When this process is gone the pipe ends and the guard ends the child's whole group. There is no moment in which our death
would leave the child behind: a guard that was told no pid finds the child by its standard input (Linux), or the child
waits at a gate until the guard knows its pid.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NAME = "ci-tools-guard"
"""What a guard is called in a list of processes."""

_SHELL = "/bin/sh"
_PAUSE_S = 0.002
_END_TIMEOUT_S = 10.0  # for a killed process to be gone: only a hanging disk takes longer

# The pipe ends only after the child holds no copy of it any more: by then it has its session and its standard input.
_GUARD = r"""
trap '' HUP INT QUIT TERM
signal=$1 polls=$2 mark=$3
shift 3
if read -r child; then
  read -r word
elif [ "$mark" ]; then
  child=$(ls -l /proc/[0-9]*/fd/0 | sed -n "s|.* /proc/\([0-9]*\)/fd/0 -> pipe:.$mark.\$|\1|p")
fi
for one in $child; do
  kill -s "$signal" -- "-$one"
  while [ "$polls" -gt 0 ] && kill -s 0 -- "-$one"; do
    sleep 0.05
    polls=$((polls - 1))
  done
  kill -s KILL -- "-$one"
done
if [ $# -gt 0 ]; then rm -rf -- "$@"; fi
"""

_POLLS_PER_S = 20  # the guard's `sleep 0.05`

_SHELL_GATE = 'read -r word && exec "$@" </dev/null'

_PYTHON_GATE = """
import os, sys
if os.read(0, 1):
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A child, its guard, and the write end of the pipe that tells the guard that we live."""

    child: subprocess.Popen[bytes]
    guard: subprocess.Popen[bytes]
    lifeline: int

    @property
    def pid(self) -> int:
        """The child's pid; it leads its own session and group."""
        return self.child.pid

    @property
    def guard_pid(self) -> int:
        """The guard's pid."""
        return self.guard.pid


class _OwnEnds:
    """Write ends that a forked child must not hold: with a copy of one, the guard would not see our death."""

    def __init__(self) -> None:
        self._descriptors: set[int] = set()
        self._lock = threading.RLock()
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release, after_in_child=self._close_in_child)

    def pipe(self) -> tuple[int, int]:
        """A new pipe (read end, write end), its write end known from the first moment on."""
        with self._lock:
            read_end, write_end = os.pipe()
            self._descriptors.add(write_end)
        return read_end, write_end

    def close(self, write_end: int) -> None:
        with self._lock:
            if write_end in self._descriptors:
                self._descriptors.remove(write_end)
                os.close(write_end)

    def _close_in_child(self) -> None:
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors.clear()
        self._lock.release()


_own_ends = _OwnEnds()
_guard_pids: set[int] = set()


def launch(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    output: Path,
    end_signal: str,
    grace_s: float,
    cleanup: tuple[Path, ...],
    user: int | None,
    group: int | None,
) -> Launched:
    """Start the guard, then the child, and tell the guard its pid; behind a gate where the guard could not find it untold."""
    has_gate = sys.platform != "linux" or user is not None  # another account's processes are not everybody's to look at
    guard_stdin, lifeline = _own_ends.pipe()
    gate, gate_key = _own_ends.pipe()
    guard: subprocess.Popen[bytes] | None = None
    child: subprocess.Popen[bytes] | None = None
    try:
        guard = subprocess.Popen(
            [
                *(_SHELL, "-c", _GUARD, NAME, end_signal, str(round(grace_s * _POLLS_PER_S))),
                "" if has_gate else str(os.fstat(gate).st_ino),
                *map(str, cleanup),
            ],
            stdin=guard_stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": os.defpath},
            start_new_session=True,
        )
        _guard_pids.add(guard.pid)
        with output.open("ab") as sink:
            child = subprocess.Popen(
                _gated(argv, env) if has_gate else argv,
                stdin=gate,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )
        os.write(lifeline, b"%d\n" % child.pid)
        if has_gate:
            os.write(gate_key, b"\n")
    except BaseException:
        _own_ends.close(lifeline)
        _own_ends.close(gate_key)
        for process in (child, guard):
            if process is not None:
                process.kill()
                process.wait(_END_TIMEOUT_S)
                _guard_pids.discard(process.pid)
        raise
    finally:
        os.close(guard_stdin)
        os.close(gate)
        _own_ends.close(gate_key)
    return Launched(child=child, guard=guard, lifeline=lifeline)


def returncode(launched: Launched) -> int | None:
    """The child's return code without reaping it, so that its group ID cannot become a stranger's before ``kill``."""
    child = launched.child
    if child.returncode is not None or not hasattr(os, "waitid"):
        return child.poll()
    try:
        ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return child.poll()
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def wait(launched: Launched, timeout_s: float) -> int | None:
    """The return code, or None when the child still runs after ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    if returncode(launched) is None:
        await_end(launched.pid, timeout_s)
    while (code := returncode(launched)) is None and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)  # where no file descriptor tells of a process's end
    return code


def ask(launched: Launched, end_signal: str) -> None:
    """Send the end signal to the child's group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(launched.pid, signal.Signals[f"SIG{end_signal}"])


def kill(launched: Launched) -> None:
    """Kill the child's group, and what left the group but not the session."""
    ask(launched, "KILL")
    for pid in _pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == launched.pid:
                os.kill(pid, signal.SIGKILL)


def reap(launched: Launched) -> int:
    """The return code of the child that was killed or has ended; from here on its pid may become a stranger's."""
    await_end(launched.pid, _END_TIMEOUT_S)
    return launched.child.wait(_END_TIMEOUT_S)


def release(launched: Launched) -> None:
    """End the guard: everything that it would do is done."""
    launched.guard.kill()
    await_end(launched.guard_pid, _END_TIMEOUT_S)
    launched.guard.wait(_END_TIMEOUT_S)
    _own_ends.close(launched.lifeline)
    _guard_pids.discard(launched.guard_pid)


def may_have_children(pid: int) -> bool:
    """False when Linux lists no child of ``pid``: fifty times cheaper than psutil, which reads every process there is."""
    if sys.platform != "linux":
        return True
    try:
        return any((task / "children").read_bytes() for task in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return Path(f"/proc/{pid}").exists()


def await_end(pid: int, timeout_s: float) -> bool:
    """Sleep until a process has ended, where the system can wake us (Linux), without reaping it; False where it cannot."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
            try:
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                poll.poll(timeout_s * 1000)
            finally:
                os.close(descriptor)
            return True
    return False


def guard_pids() -> set[int]:
    """The guards that watch for us now."""
    return set(_guard_pids)


def _pids() -> Iterable[int]:
    """Every process there is."""
    if sys.platform == "linux":
        return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - a third of the time of paths
    import psutil  # noqa: PLC0415 - where there is no /proc

    return psutil.pids()


def _gated(argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """``argv`` behind a gate. dash drops variables that it cannot name, so those pass through a Python instead."""
    if all(name.isascii() and name.isidentifier() for name in env):
        return [_SHELL, "-c", _SHELL_GATE, "ci-tools-gate", *argv]
    return [sys.executable, "-I", "-S", "-c", _PYTHON_GATE, *argv]
