"""Keeper: the process that ``ci-tools services up`` leaves behind, so that its servers have a living owner.

It provides one service, writes down where it answers, and gives it up on SIGTERM. When it dies in any other way, the
server's guard ends the server.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from ci_tools.errors import ServiceError
from ci_tools.model import codec
from ci_tools.model.service import Endpoint, ServiceKind, ServiceSpec
from ci_tools.services.provision import provide

LOG_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What a keeper writes down once its service is ready: ``<kind>.json``, readable by this account only."""

    keeper_pid: int
    keeper_created: float
    endpoint: Endpoint
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What a keeper writes down when its service cannot be had: ``<kind>.error.json``."""

    what: str
    details: tuple[str, ...]
    hint: str | None
    version: int = 1


def keep_path(folder: Path, kind: ServiceKind) -> Path:
    """Where a keeper writes where its service answers."""
    return folder / f"{kind}.json"


def refusal_path(folder: Path, kind: ServiceKind) -> Path:
    """Where a keeper writes why there is no service."""
    return folder / f"{kind}.error.json"


def log_path(folder: Path, kind: ServiceKind) -> Path:
    """The server's log."""
    return folder / f"{kind}-1.log"


def keep(
    spec: ServiceSpec,
    *,
    environ: Mapping[str, str],
    folder: Path,
    stopped: threading.Event,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Provide one service until ``stopped`` is set; ``say`` gets the server's log line by line meanwhile.

    Raises ServiceError when the service cannot be had, or ended by itself while it was kept.
    """
    log = log_path(folder, spec.kind)
    position = log.stat().st_size if log.exists() else 0
    with provide([spec], environ=environ, folder=folder) as provision:
        endpoint = provision.slots[0].endpoints[0]
        path = keep_path(folder, spec.kind)
        _write_privately(path, Keep(keeper_pid=os.getpid(), keeper_created=psutil.Process().create_time(), endpoint=endpoint))
        try:
            while not stopped.wait(LOG_POLL_S):
                position = _say_from(log, position, say)
                _demand_life(endpoint)
        finally:
            path.unlink(missing_ok=True)
            _say_from(log, position, say)


def main(spec_path: str, folder_name: str) -> int:
    """What the keeper's process does; the exit code is the error's own."""
    folder = Path(folder_name)
    spec = codec.loads(ServiceSpec, Path(spec_path).read_bytes(), where=spec_path)
    stopped = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stopped.set())
    try:
        keep(spec, environ=os.environ, folder=folder, stopped=stopped)
    except ServiceError as error:
        _write_privately(refusal_path(folder, spec.kind), Refusal(what=error.what, details=error.details, hint=error.hint))
        return int(error.exit_code)
    return 0


def _demand_life(endpoint: Endpoint) -> None:
    pid = endpoint.provenance.pid
    with contextlib.suppress(psutil.NoSuchProcess):
        if pid == 0 or psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return
    raise ServiceError(f"{endpoint.kind} (pid {pid}) ended by itself", hint=f"`ci-tools services logs {endpoint.kind}` says why")


def _write_privately(path: Path, value: object) -> None:
    """Whole or not at all, and for this account only: the endpoint holds the password."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_text(codec.dumps(value), encoding="utf-8")
    part.replace(path)


def _say_from(log: Path, position: int, say: Callable[[str], None]) -> int:
    if not log.exists():
        return position
    with log.open("rb") as file:
        file.seek(position)
        whole = file.read().rpartition(b"\n")[0]
    for line in whole.splitlines():
        say(line.decode(errors="replace"))
    return position + len(whole) + (1 if whole else 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
