"""Standing services: what ``ci-tools services up`` started and ``down`` ends, one keeper process each.

``folder`` is the project's own; everything here is about what stands in it and about nothing else on the machine.
"""

import contextlib
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ci_tools.errors import DecodeError, ServiceError
from ci_tools.host import github
from ci_tools.host.process import start_detached
from ci_tools.model import codec
from ci_tools.model.service import Endpoint, Provider, ServiceKind, ServiceSpec
from ci_tools.services import readiness
from ci_tools.services.keeper import Keep, Refusal, keep_path, log_path, refusal_path
from ci_tools.services.leftovers import is_same_process
from ci_tools.services.probe import is_ready
from ci_tools.services.variables import adopted_variable

_STOP_TIMEOUT_S = 5.0
_START_MARGIN_S = 15.0  # for the keeper's Python to start and for a first initdb
_LOCK_TIMEOUT_S = 60
_POLL_S = 0.02
_POWERSHELL_QUOTES = re.compile("['\u2018\u2019\u201a\u201b]")
"""PowerShell takes the typographic ones for quotes as well."""


class Shell(StrEnum):
    """Whose syntax environment lines are in. ``github`` is the format of the file ``$GITHUB_ENV``."""

    SH = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"
    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A service that stands: where it answers, whether it does, who keeps it, and whether this call started it."""

    endpoint: Endpoint
    keeper_pid: int
    log: Path
    is_ready: bool
    is_new: bool = False


def up(specs: Sequence[ServiceSpec], *, environ: Mapping[str, str], folder: Path) -> tuple[Standing, ...]:
    """Make every service stand; one that already does is left as it is.

    Raises ServiceError when one cannot be had. Those that stood or were started before it stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        return tuple(_standing(spec.kind, folder) or _start(spec, environ=environ, folder=folder) for spec in specs)


def down(folder: Path, kinds: Sequence[ServiceKind] = ()) -> tuple[Standing, ...]:
    """End what stands in ``folder`` (of these kinds; all when none is named) and give back what is leased; what was ended.

    An adopted server goes on running: it is not ours.
    """
    if not folder.exists():
        return ()
    with _only_one(folder):
        return tuple(_stop(one, folder) for one in status(folder) if not kinds or one.endpoint.kind in kinds)


def status(folder: Path) -> tuple[Standing, ...]:
    """What stands in ``folder``, asked over its own protocol whether it is ready."""
    return tuple(found for kind in ServiceKind if (found := _standing(kind, folder)) is not None)


def logs(folder: Path, kind: ServiceKind) -> tuple[str, ...]:
    """The last lines of a service's log, also after it is gone. ServiceError when it never stood here."""
    path = log_path(folder, kind)
    if not path.exists():
        raise ServiceError(f"{kind} has no log in {folder}", hint=f"`ci-tools services up {kind}` starts it")
    return readiness.log_tail(path)


def env_lines(standing: Sequence[Standing], shell: Shell) -> tuple[str, ...]:
    """Lines that put the endpoints into an environment: what tests read, and what makes a later run adopt the service."""
    variables: dict[str, str] = {}
    for one in standing:
        variables.update(one.endpoint.environment)
        if one.endpoint.provenance.provider is not Provider.ADOPTED:  # what the variable names then is another's whole server
            variables[adopted_variable(one.endpoint.kind)] = one.endpoint.url
    return tuple(_env_line(name, value, shell) for name, value in variables.items())


def _env_line(name: str, value: str, shell: Shell) -> str:
    match shell:
        case Shell.SH:
            quoted = value.replace("'", "'\\''")
            return f"export {name}='{quoted}'"
        case Shell.FISH:
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"set -gx {name} '{quoted}'"
        case Shell.POWERSHELL:
            return f"$env:{name} = '{_POWERSHELL_QUOTES.sub(lambda found: found[0] * 2, value)}'"
        case Shell.GITHUB:
            is_line = "\n" not in value and "\r" not in value
            return f"{name}={value}" if is_line else github.assignments({name: value}).rstrip("\n")


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Two calls in one project wait for one another: they would start the same service twice."""
    lock = FileLock(folder / "lock", timeout=_LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise ServiceError(
            f"another `ci-tools services` has held {folder / 'lock'} for {_LOCK_TIMEOUT_S} s", hint="end it, then try again"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _standing(kind: ServiceKind, folder: Path) -> Standing | None:
    """What stands; None when nothing does. What a dead keeper wrote is removed."""
    path = keep_path(folder, kind)
    try:
        keep = codec.loads(Keep, path.read_bytes(), where=str(path))
    except FileNotFoundError:
        return None
    except DecodeError:
        path.unlink(missing_ok=True)
        return None
    if not is_same_process(keep.keeper_pid, keep.keeper_created):
        path.unlink(missing_ok=True)
        return None
    return Standing(
        endpoint=keep.endpoint, keeper_pid=keep.keeper_pid, log=log_path(folder, kind), is_ready=is_ready(keep.endpoint)
    )


def _start(spec: ServiceSpec, *, environ: Mapping[str, str], folder: Path) -> Standing:
    refusal = refusal_path(folder, spec.kind)
    refusal.unlink(missing_ok=True)
    spec_path = folder / f"{spec.kind}.spec.json"
    spec_path.write_text(codec.dumps(spec), encoding="utf-8")
    argv = [sys.executable, "-m", "ci_tools.services.keeper", str(spec_path), str(folder)]
    pid = start_detached(argv, env=environ, output=_keeper_log(folder, spec.kind))
    deadline = time.monotonic() + spec.start_timeout_s + _START_MARGIN_S
    while (found := _standing(spec.kind, folder)) is None:
        if not _is_running(pid):
            raise _refused(spec.kind, folder)
        if time.monotonic() > deadline:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).terminate()
            raise ServiceError(f"the keeper of {spec.kind} (pid {pid}) was not ready in time", hint=f"see {folder}")
        time.sleep(_POLL_S)
    return Standing(endpoint=found.endpoint, keeper_pid=found.keeper_pid, log=found.log, is_ready=found.is_ready, is_new=True)


def _refused(kind: ServiceKind, folder: Path) -> ServiceError:
    with contextlib.suppress(OSError, DecodeError):
        refusal = codec.loads(Refusal, refusal_path(folder, kind).read_bytes())
        return ServiceError(refusal.what, details=refusal.details, hint=refusal.hint)
    return ServiceError(
        f"the keeper of {kind} ended before it was ready",
        details=[f"log:     {line}" for line in readiness.log_tail(_keeper_log(folder, kind))],
        hint="the log's last line says why",
    )


def _keeper_log(folder: Path, kind: ServiceKind) -> Path:
    return folder / f"{kind}.keeper.log"


def _is_running(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def _stop(standing: Standing, folder: Path) -> Standing:
    with contextlib.suppress(psutil.NoSuchProcess):
        keeper = psutil.Process(standing.keeper_pid)
        keeper.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        while _is_running(keeper.pid):  # it is nobody's child: whoever is init here may be slow to reap it
            if time.monotonic() > deadline:
                keeper.kill()  # its guard ends the server
                break
            time.sleep(_POLL_S)
    keep_path(folder, standing.endpoint.kind).unlink(missing_ok=True)
    return standing
