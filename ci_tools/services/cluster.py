"""Cluster: the data folder of a PostgreSQL, copied from one that initdb made once for the same program."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ci_tools.errors import ServiceError
from ci_tools.host.process import start
from ci_tools.services import readiness
from ci_tools.services.account import Account
from ci_tools.services.launch import sha256_of

SUPERUSER = "postgres"
INITDB_ARGUMENTS = ("-U", SUPERUSER, "-E", "UTF8", "--no-locale", "--no-sync", "-A", "trust", "--wal-segsize=1")
"""The log in pieces of 1 MB: a new cluster has one, which is copied for each start; the usual one has 16 MB of zeros."""

_INITDB_TIMEOUT_S = 120.0
_BYTES_AT_ONCE = 1 << 24
_LOCK_TIMEOUT_S = 150.0
_UNUSED_S = 30 * 86_400.0
_IN_USE_S = 3_600.0
_KEPT = 4
"""How many clusters are kept for a month: 40 MB each; more than that come and go within an hour."""
_WHOLE = re.compile(r"[0-9a-f]{32}")


def cache_folder() -> Path:
    """Where clusters are kept to be copied; this user's own."""
    return platformdirs.user_cache_path("ci-tools", appauthor=False) / "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A cluster from which a server can start. Until ``complete`` only its maintenance database is there to connect to."""

    data: Path
    source: Path | None
    account: Account | None

    @property
    def is_cached(self) -> bool:
        """Whether it was copied, and not made by initdb."""
        return self.source is not None

    def complete(self) -> None:
        """Copy the other databases: a server that starts does not look at them, so that takes its time and not ours."""
        if self.source is not None:
            for name in _later(self.source):
                _copy(self.source / name, self.data / name, self.account)


def prepare(data: Path, *, folder: Path, account: Account | None) -> Prepared:
    """Put a fresh cluster at ``data``, whose parent exists. ``folder`` holds initdb.

    Raises ServiceError when initdb fails, OSError when there is no room.
    """
    cached = cache_folder() / _key(folder)
    is_cached = (cached / "PG_VERSION").exists()
    if is_cached:
        with contextlib.suppress(OSError):  # a cache that is only ours to read is not ours to prune either
            os.utime(cached)
        _copy(cached, data, account, leave_out=_later(cached))
        return Prepared(data=data, source=cached, account=account)
    from filelock import FileLock  # noqa: PLC0415 - once for each program

    cached.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(f"{cached}.lock", timeout=_LOCK_TIMEOUT_S):
        if (cached / "PG_VERSION").exists():
            return prepare(data, folder=folder, account=account)
        _initdb(data, folder=folder, account=account)
        _store(data, cached)
    prune(time.time())
    return Prepared(data=data, source=None, account=account)


def prune(now: float) -> tuple[Path, ...]:
    """Remove the clusters that nobody copied for a month, and all but the last few that nobody copied for an hour.

    A copy takes seconds and begins by marking its source as used, so none is removed under one; one that is being made
    is locked. What an interrupted start left half done goes too. ``now`` is a time as of ``time.time``.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - as above

    found = sorted(((path.stat().st_mtime, path) for path in cache_folder().iterdir() if path.is_dir()), reverse=True)
    whole = [path for _, path in found if _WHOLE.fullmatch(path.name)]
    removed = []
    for used, path in found:
        is_kept = path in whole[:_KEPT]
        if now - used < (_UNUSED_S if is_kept else _IN_USE_S):
            continue
        lock = path.with_name(f"{path.name.partition('.')[0]}.lock")
        with contextlib.suppress(Timeout, OSError), FileLock(lock, timeout=0):
            if path.stat().st_mtime == used:
                doomed = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
                path.rename(doomed)
                shutil.rmtree(doomed, ignore_errors=True)
                removed.append(path)
    return tuple(removed)


def counting(folder: Path) -> dict[str, str]:
    """The settings with which a server counts each statement by database, where the program's folder has what it takes."""
    library = Path("pg_stat_statements").with_suffix({"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so"))
    root = folder.parent / "lib"
    if not any((root / part / library).exists() for part in ("", "postgresql")):
        return {}
    return {
        "shared_preload_libraries": library.stem,
        "pg_stat_statements.track": "top",
        "pg_stat_statements.save": "off",
    }


def _key(folder: Path) -> str:
    """What a cluster depends on: the program and initdb's arguments."""
    words = (sha256_of(_initdb_in(folder)), sha256_of(_postgres_in(folder)), *INITDB_ARGUMENTS)
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


def _initdb(data: Path, *, folder: Path, account: Account | None) -> None:
    log = data.parent / "initdb.log"
    process = start(
        [str(_initdb_in(folder)), "-D", str(data), *INITDB_ARGUMENTS],
        env={"LC_ALL": "C", "PATH": os.defpath, **_system_environment()},
        cwd=data.parent,
        output=log,
        user=account.user if account else None,
        group=account.group if account else None,
    )
    with process:
        returncode = process.wait(_INITDB_TIMEOUT_S)
    if returncode != 0:
        state = f"exit code {returncode}" if returncode is not None else f"no end within {_INITDB_TIMEOUT_S:g} s"
        raise ServiceError(
            f"postgres has no data folder: initdb failed ({state})",
            details=[f"started: {' '.join(process.argv)}", *(f"log:     {line}" for line in readiness.log_tail(log))],
            hint="the log's last line says why; `services.postgres.path` can name another installation",
        )


def _store(data: Path, cached: Path) -> None:
    """Keep a copy, whole or not at all."""
    part = cached.with_name(f"{cached.name}.{secrets.token_hex(4)}")
    try:
        _copy(data, part, None)
        part.rename(cached)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)  # no room for a cache is no reason to fail: the cluster itself is there


def _later(cached: Path) -> tuple[str, ...]:
    """The databases that a server does not need in order to start: initdb makes the maintenance database last."""
    numbers = sorted(int(path.name) for path in (cached / "base").glob("[0-9]*"))
    return tuple(f"base/{number}" for number in numbers[:-1])


def _copy(source: Path, target: Path, account: Account | None, *, leave_out: tuple[str, ...] = ()) -> None:
    """Copy contents only, as ``account``'s: PostgreSQL looks at the mode of the folder, not of the files.

    Unlike ``shutil.copytree`` it stops at the first file for which there is no room, and raises what the system said.
    """
    copy = _copy_contents if sys.platform == "linux" else _copy_file
    left_out = {str(source / name) for name in leave_out}
    for place, folders, names in os.walk(source):
        folders[:] = [name for name in folders if f"{place}{os.sep}{name}" not in left_out]
        inside = target / Path(place).relative_to(source)
        inside.mkdir(mode=0o700)
        if account is not None:
            os.chown(inside, account.user, account.group)
        for name in names:
            copy(f"{place}{os.sep}{name}", f"{inside}{os.sep}{name}", account)


def _copy_file(source: str, target: str, account: Account | None) -> None:
    shutil.copyfile(source, target)
    if account is not None:
        os.chown(target, account.user, account.group)


def _copy_contents(source: str, target: str, account: Account | None) -> None:
    """Nearly twice as fast as ``shutil.copyfile`` for a thousand small files: nothing is looked at before it is copied."""
    reader = os.open(source, os.O_RDONLY)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if account is not None:
                os.fchown(writer, account.user, account.group)
            while os.sendfile(writer, reader, None, _BYTES_AT_ONCE):
                pass
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _system_environment() -> dict[str, str]:
    """What Windows programs do not start without."""
    return {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if os.name == "nt" and name in os.environ}


def _initdb_in(folder: Path) -> Path:
    return folder / ("initdb.exe" if os.name == "nt" else "initdb")


def _postgres_in(folder: Path) -> Path:
    return folder / ("postgres.exe" if os.name == "nt" else "postgres")
