"""Leftovers: what dead runs may have left behind, ended by pid and create time, never by name.

Guards leave nothing behind. This is for what no guard survives: a machine that kills every process of a job at once,
and folders on Windows, where no process of ours is left to remove them.
"""

import contextlib
import functools
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from ci_tools.errors import DecodeError
from ci_tools.model import codec
from ci_tools.services import home
from ci_tools.services.account import unprivileged

if TYPE_CHECKING:
    import psutil

_KILL_TIMEOUT_S = 5.0
_CLOCK_S = 0.02
"""Two ticks of the clock by which Linux says when a process began: nobody gets the pid of a dead process that soon."""
_STARTED_TICKS = 19  # of /proc/<pid>/stat, counted from the state on
_QUIT_TIMEOUT_S = 2.0
_ANSWER_TIMEOUT_S = 1.0
_SETTLED_S = 120.0
"""How long a home may be there before a server's process is: the time of a start, with a first initdb."""
_OLD_S = 3_600.0
_AT_ONCE = 100
_ASKED_FIRST = "postgres"
"""Servers that SIGKILL would make leave shared memory behind."""


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
    """A leftover that was cleared away. ``was_running`` says whether a process had to be ended.

    Of a home whose server nobody knows ``name`` is empty.
    """

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
    created, owner_created = _created(pid), _created(os.getpid())
    if created is not None and owner_created is not None:
        trace = Trace(name=name, pid=pid, created=created, owner_pid=os.getpid(), owner_created=owner_created, home=str(home))
        path.write_text(codec.dumps(trace), encoding="utf-8")


def reap(*, settled_s: float = _SETTLED_S) -> tuple[Reaped, ...]:
    """End the servers of dead owners and remove their homes, and homes of nobody that are older than ``settled_s``.

    Servers of living owners are left alone, and so is a home in which a server answers or a process works.
    """
    found = tuple(_traces())
    dead = [(path, trace) for path, trace in found if not is_same_process(trace.owner_pid, trace.owner_created)]
    reaped = [one for path, trace in dead if (one := _reap_one(path, trace)) is not None]
    return (*reaped, *_remove_homes(frozenset(trace.home for _, trace in found), settled_s))


def prune() -> None:
    """The same for a run that ends and had no word with anybody about it: older homes only, and no failure is worth a word."""
    with contextlib.suppress(OSError):
        reap(settled_s=_OLD_S)


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


def _reap_one(path: Path, trace: Trace) -> Reaped | None:
    """End what a trace names. None, and nothing done, for a server that answers though its process is not to be seen."""
    process = _process(trace.pid, trace.created)
    if process is None and _answers(Path(trace.home)):
        return None  # in another namespace of processes, with this folder mounted
    if process is not None:
        _end(process, is_asked_first=trace.name.startswith(_ASKED_FIRST))
    shutil.rmtree(trace.home, ignore_errors=True)
    path.unlink(missing_ok=True)
    return Reaped(name=trace.name, pid=trace.pid, home=trace.home, was_running=process is not None)


def _end(process: "psutil.Process", *, is_asked_first: bool) -> None:
    import psutil  # noqa: PLC0415 - a start of a server needs none of it

    with contextlib.suppress(psutil.Error):
        family = [process, *process.children(recursive=True)]
        if is_asked_first and hasattr(signal, "SIGQUIT"):
            process.send_signal(signal.SIGQUIT)
            psutil.wait_procs(family, timeout=_QUIT_TIMEOUT_S)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=_KILL_TIMEOUT_S)


def _remove_homes(traced: frozenset[str], settled_s: float) -> tuple[Reaped, ...]:
    """Homes without a trace: their maker was killed before it wrote one, or the trace was lost."""
    before = time.time() - settled_s
    old = [path for path, changed in _homes() if str(path) not in traced and changed <= before]
    if not old:
        return ()
    used = _working_folders()
    left = [path for path in old if not any(folder.is_relative_to(path) for folder in used) and not _answers(path)]
    for path in left[:_AT_ONCE]:
        shutil.rmtree(path, ignore_errors=True)
    return tuple(Reaped(name="", pid=0, home=str(path), was_running=False) for path in left[:_AT_ONCE] if not path.exists())


def _homes() -> Iterator[tuple[Path, float]]:
    """Folders that are named as homes are and belong to an account that makes homes, and when each was last changed."""
    if sys.platform == "win32":
        accounts = {0}
    else:
        other = unprivileged()
        accounts = {os.geteuid(), *([other.user] if other else [])}
    for folder in home.parents():
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if home.is_name(entry.name) and entry.is_dir(follow_symlinks=False):
                        about = entry.stat()
                        if about.st_uid in accounts:
                            yield Path(entry.path), about.st_mtime


def _working_folders() -> tuple[Path, ...]:
    """Where each process stands that we may look at: a server of ours stands in its home, or in a folder of it."""
    import psutil  # noqa: PLC0415 - as above

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(Path(process.cwd()))
    return tuple(found)


def _answers(folder: Path) -> bool:
    """Whether somebody listens on a unix socket in a home."""
    if sys.platform == "win32":
        return False
    for path in folder.glob("*"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
            if path.is_socket():
                asked.settimeout(_ANSWER_TIMEOUT_S)
                asked.connect(str(path))
                return True
    return False


def _created(pid: int) -> float | None:
    """When a process began, as psutil says it; None when it is gone.

    On Linux it is read here: where several servers start at once, importing psutil keeps the others waiting.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return int(fields[_STARTED_TICKS]) / os.sysconf("SC_CLK_TCK") + _booted()
    import psutil  # noqa: PLC0415 - as above

    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


@functools.cache
def _booted() -> float:
    """When Linux began, in seconds since 1970."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("btime"))


def _process(pid: int, created: float) -> "psutil.Process | None":
    import psutil  # noqa: PLC0415 - as above

    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        if abs(process.create_time() - created) < _CLOCK_S and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
