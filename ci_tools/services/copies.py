"""Copies: programs where an unprivileged account may run them, in a folder of root's; a few, and none that is in use goes."""

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from ci_tools.errors import ServiceError

_FOLDER_MODE = 0o755
_FILE_MODE = 0o644
_LOCK_TIMEOUT_S = 150.0
_UNUSED_S = 30 * 86_400.0
_RECENT_S = 3_600.0
_KEPT = 4
"""How many are kept for a month: 50 MB each; more than that come and go within an hour."""


def copy(pieces: tuple[Path, ...], *, name: str, folder: Path) -> Path:
    """The copy of that name in ``folder``, made of ``pieces``, which lie side by side, unless it is there already.

    Only one call at a time makes copies or removes old ones. Raises ServiceError when the folder is not ours, OSError when
    there is no room; nothing half done is left then.
    """
    folder.mkdir(exist_ok=True, mode=_FOLDER_MODE)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        raise ServiceError(f"{folder} is not ours", hint="remove it: ci-tools keeps programs there for servers that it starts")
    target = folder / name
    with FileLock(folder / "lock", timeout=_LOCK_TIMEOUT_S):
        if not target.is_dir():
            for old in _old(folder, time.time()):
                shutil.rmtree(old, ignore_errors=True)
            _make(pieces, target)
        os.utime(target)
    return target


def _make(pieces: tuple[Path, ...], target: Path) -> None:
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    try:
        for piece in pieces:
            shutil.copytree(piece, part / piece.name, symlinks=True)
        _let_all_read(part)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _old(folder: Path, now: float) -> Iterator[Path]:
    """Those that nobody used for a month, all but the last few that nobody used for an hour, and parts of killed calls."""
    found = sorted(((path.stat().st_mtime, path) for path in folder.iterdir() if path.is_dir()), reverse=True)
    whole = [path for _, path in found if not path.suffix]
    doomed = [path for _, path in found if path.suffix]  # the lock is ours: nobody is making them
    doomed += [path for used, path in found if path in whole[:_KEPT] and now - used >= _UNUSED_S]
    doomed += [path for used, path in found if path in whole[_KEPT:] and now - used >= _RECENT_S]
    programs = _running() if doomed else ()
    return (path for path in doomed if not any(program.is_relative_to(path) for program in programs))


def _running() -> tuple[Path, ...]:
    """The program of every process that we may look at: a server may run for days, and reads its folder as it goes."""
    import psutil  # noqa: PLC0415 - only where there is something to remove

    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(Path(process.exe()))
    return tuple(found)


def _let_all_read(root: Path) -> None:
    for place, _, files in os.walk(root):
        Path(place).chmod(_FOLDER_MODE)
        for name in files:
            path = Path(place, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (_FOLDER_MODE if os.access(path, os.X_OK) else _FILE_MODE))
