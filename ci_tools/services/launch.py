"""Launch: a server program started in its home, watched until it answers, or an error that says why it does not."""

import functools
import hashlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from ci_tools.errors import ServiceError
from ci_tools.host.process import EndSignal, GuardedProcess, start
from ci_tools.services import readiness
from ci_tools.services.account import Account
from ci_tools.services.leftovers import new_trace_path, write_trace

_UNDO_GRACE_S = 2.0  # for a server that must not be killed: PostgreSQL would leave shared memory behind

T = TypeVar("T")


class PortTakenError(Exception):
    """Somebody bound the port between our look and the server's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A server that is about to start. ``log`` None keeps the log in its home, where it ends with it.

    ``taken_port`` are the words in the log that mean that somebody has the port.
    """

    name: str
    argv: tuple[str, ...]
    home: Path
    log: Path | None
    where: str
    timeout_s: float
    end_signal: EndSignal
    taken_port: tuple[str, ...]
    tried: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: {"LC_ALL": "C"}, repr=False)
    account: Account | None = None

    @property
    def log_path(self) -> Path:
        """Where the server's output goes."""
        return self.log or self.home / "server.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched(Generic[T]):
    """A server that is ready: its process, what it first answered, and its program's digest."""

    process: GuardedProcess
    answer: T
    sha256: str
    start_ms: float


def launch(
    plan: Launch,
    probe: Callable[[], T],
    *,
    stopping: threading.Event,
    began: float,
    meanwhile: Callable[[], object] = lambda: None,
) -> Launched[T]:
    """Start the server and return once ``probe`` answers (it raises OSError until then).

    Raises PortTakenError when the server's log says so, ServiceError for everything else that keeps it from being
    ready, also when ``stopping`` is set meanwhile. ``began`` (``perf_counter``) is when the work for this start began.
    ``meanwhile`` is done once, while the server's process finds its feet and before it is asked.
    On every error nothing is left: no process, no home.
    """
    process: GuardedProcess | None = None
    try:
        plan.log_path.parent.mkdir(parents=True, exist_ok=True)
        log_start = plan.log_path.stat().st_size if plan.log_path.exists() else 0
        process = _start(plan)
        meanwhile()
        sha256 = sha256_of(Path(plan.argv[0]))
        answer = readiness.wait_ready(process, probe, timeout_s=plan.timeout_s, stopping=stopping)
    except readiness.EndedEarlyError as error:
        is_taken = any(sign in _text_from(plan.log_path, log_start) for sign in plan.taken_port)
        failure = _not_ready(plan, f"ended before it was ready on {plan.where}", f"exit code {error.returncode}", log_start)
        _undo(plan, process)
        raise (PortTakenError() if is_taken else failure) from error
    except readiness.NotReadyError as error:
        what = f"did not answer on {plan.where} within {plan.timeout_s:g} s (last: {readiness.explain(error.__cause__)})"
        failure = _not_ready(plan, what, "still running then", log_start)
        _undo(plan, process)
        raise failure from error
    except OSError as error:
        _undo(plan, process)
        raise cannot_start(plan.name, error, plan.argv[0]) from error
    except BaseException:
        _undo(plan, process)
        raise
    start_ms = round((time.perf_counter() - began) * 1000, 1)
    return Launched(process=process, answer=answer, sha256=sha256, start_ms=start_ms)


def cannot_start(name: str, error: OSError, program: str) -> ServiceError:
    """The error of a server that the system did not let us start: no room, no permission, no such file."""
    return ServiceError(
        f"{name} could not be started: {readiness.explain(error)}",
        details=[f"program: {program}", *([f"file:    {error.filename}"] if error.filename else [])],
        hint="make room in the folder for temporary files (TMPDIR) or correct its permissions, then try again",
    )


@functools.lru_cache
def sha256_of(path: Path) -> str:
    """The digest of a program, as hexadecimal digits; computed once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _start(plan: Launch) -> GuardedProcess:
    trace = new_trace_path()
    process = start(
        plan.argv,
        env=plan.env,
        cwd=plan.home,
        output=plan.log_path,
        end_signal=plan.end_signal,
        cleanup=(plan.home, trace),
        user=plan.account.user if plan.account else None,
        group=plan.account.group if plan.account else None,
    )
    try:
        write_trace(trace, name=plan.name, pid=process.pid, home=plan.home)
    except BaseException:
        process.end(0)
        raise
    return process


def _undo(plan: Launch, process: GuardedProcess | None) -> None:
    if process is not None:
        process.end(0 if plan.end_signal == "KILL" else _UNDO_GRACE_S)
    shutil.rmtree(plan.home, ignore_errors=True)


def _not_ready(plan: Launch, what: str, state: str, log_start: int) -> ServiceError:
    return ServiceError(
        f"{plan.name} {what}",
        details=[
            *_labelled("tried", plan.tried),
            f"started: {' '.join(plan.argv)}   ({state})",
            *_log_lines(plan.log_path, log_start),
        ],
        hint=f"`ci-tools services up {plan.name} --foreground` shows the whole log",
    )


def _log_lines(log: Path, start: int) -> Sequence[str]:
    return _labelled("log", readiness.log_tail(log, start=start)) or [f"log:     {log} is empty"]


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f"{label + ':':<9}{line}" for line in lines]


def _text_from(log: Path, position: int) -> str:
    with log.open("rb") as file:
        file.seek(position)
        return file.read().decode(errors="replace")
