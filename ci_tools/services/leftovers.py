"""Leftovers: what dead runs may have left behind, ended by pid and create time, never by name.

Guards leave nothing behind. This is for what no guard survives: a machine that kills every process of a job at once,
and folders on Windows, where no process of ours is left to remove them.
"""

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from ci_tools.errors import DecodeError
from ci_tools.model import codec

if TYPE_CHECKING:
    import psutil

_KILL_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What is known of a server that runs, or ran: enough to end it and to leave everything else alone."""

    name: str
    pid: int
    created: float
    owner_pid: int
    owner_created: float
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """A leftover that was cleared away. ``was_running`` says whether a process had to be ended."""

    name: str
    pid: int
    home: str
    was_running: bool


def traces_folder() -> Path:
    """Where traces are kept, of every project of this user."""
    return platformdirs.user_state_path("ci-tools", appauthor=False) / "servers"


def new_trace_path() -> Path:
    """A path for the trace of a server that is about to start; to be removed with the server."""
    folder = traces_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{secrets.token_hex(8)}.json"


def write_trace(path: Path, *, name: str, pid: int, home: Path) -> None:
    """Write down that this process started a server. A server that is gone already leaves no trace."""
    import psutil  # noqa: PLC0415 - 10 ms that pass while the server starts

    with contextlib.suppress(psutil.NoSuchProcess):
        owner = psutil.Process()
        trace = Trace(
            name=name,
            pid=pid,
            created=psutil.Process(pid).create_time(),
            owner_pid=owner.pid,
            owner_created=owner.create_time(),
            home=str(home),
        )
        path.write_text(codec.dumps(trace), encoding="utf-8")


def reap() -> tuple[Reaped, ...]:
    """End the servers of dead owners and remove their folders. Servers of living owners are left alone."""
    return tuple(_reap_one(path, trace) for path, trace in _traces() if not is_same_process(trace.owner_pid, trace.owner_created))


def is_same_process(pid: int, created: float) -> bool:
    """Whether the process that had this pid at that time still runs; another one with the same pid is not it."""
    return _process(pid, created) is not None


def _traces() -> Iterator[tuple[Path, Trace]]:
    for path in sorted(traces_folder().glob("*.json")):
        try:
            yield path, codec.loads(Trace, path.read_bytes(), where=str(path))
        except FileNotFoundError:
            continue
        except DecodeError:
            path.unlink(missing_ok=True)  # cut off by the death of its writer: it names nothing that could be ended


def _reap_one(path: Path, trace: Trace) -> Reaped:
    import psutil  # noqa: PLC0415 - as above

    process = _process(trace.pid, trace.created)
    if process is not None:
        with contextlib.suppress(psutil.Error):
            family = [process, *process.children(recursive=True)]
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(family, timeout=_KILL_TIMEOUT_S)
    shutil.rmtree(trace.home, ignore_errors=True)
    path.unlink(missing_ok=True)
    return Reaped(name=trace.name, pid=trace.pid, home=trace.home, was_running=process is not None)


def _process(pid: int, created: float) -> "psutil.Process | None":
    import psutil  # noqa: PLC0415 - as above

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if process.create_time() == created and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
