"""Download: a server's archive from a table, refused unless its digest is the table's, unpacked where it cannot escape.

The table is data (``downloads.json``); each entry names who states its digest. A table of the user's own, of the same
form, is read first: ``CI_TOOLS_DOWNLOADS`` names its file.
"""

import contextlib
import errno
import importlib
import lzma
import platform
import secrets
import shutil
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import platformdirs
from filelock import FileLock, Timeout
from packaging.version import Version

from ci_tools.errors import ConfigError, DecodeError, ServiceError
from ci_tools.model import codec
from ci_tools.model.service import ServiceSpec
from ci_tools.services import readiness
from ci_tools.services.versions import fits

TABLE_VARIABLE = "CI_TOOLS_DOWNLOADS"

_PROGRAM_MODE = 0o755
_TIMEOUT_S = 60.0
_LOCK_TIMEOUT_S = 600.0
_TRIES = 1
_DEADLINE_S = 900.0
_BYTES_AT_ONCE = 1 << 16
_ARCHIVE_BYTES = 1 << 30
_UNPACKED_BYTES = 4 << 30
_UNPACKED_FILES = 100_000
"""No server is larger: PostgreSQL for Windows with all its tools unpacks to a gigabyte."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ROOM = "make room for the cache, or correct its permissions; XDG_CACHE_HOME (Linux) can name another folder"
_ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "arm64": "arm64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One archive. ``source`` says who states the digest; ``is_proven`` whether a run on that system has used it."""

    distribution: str
    version: str
    os: str
    arch: str
    url: str
    sha256: str
    source: str
    is_proven: bool = False


def entries(environ: Mapping[str, str]) -> tuple[Entry, ...]:
    """The user's table, then the one that is checked in. ConfigError when the user's cannot be read or is no table."""
    own: tuple[Entry, ...] = ()
    if environ.get(TABLE_VARIABLE):
        path = Path(environ[TABLE_VARIABLE])
        hint = f"correct the file that {TABLE_VARIABLE} names, or unset it"
        try:
            own = codec.loads(tuple[Entry, ...], path.read_bytes(), where=str(path))
        except OSError as error:
            raise ConfigError(f"the table of downloads {path} cannot be read: {readiness.explain(error)}", hint=hint) from error
        except DecodeError as error:
            raise ConfigError(error.what, details=error.details, hint=hint) from error
    shipped = resources.files("ci_tools.services").joinpath("downloads.json").read_bytes()
    return (*own, *codec.loads(tuple[Entry, ...], shipped, where="downloads.json"))


def choose(
    table: tuple[Entry, ...],
    distributions: tuple[str, ...],
    version: str,
    *,
    system: str = sys.platform,
    machine: str | None = None,
) -> Entry | None:
    """The newest entry for this system and architecture whose version fits; the user's come first among equals."""
    arch = _ARCHITECTURES.get((machine or platform.machine()).lower(), "")
    fitting = [
        one
        for one in table
        if one.distribution in distributions and (one.os, one.arch) == (system, arch) and fits(one.version, version)
    ]
    return max(fitting, key=lambda one: Version(one.version), default=None)


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
        archive = _download(entry, part)
        unpacked = part / "unpacked"
        _unpack(archive, unpacked, entry)
        unpacked.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def fetch_or_say(entry: Entry, spec: ServiceSpec, tried: list[str]) -> Path | None:
    """As ``fetch``; where the spec did not ask for a download, one that fails is a line of ``tried`` and no error."""
    try:
        return fetch(entry)
    except ServiceError as error:
        if spec.providers:
            raise
        tried.append(f"downloaded: {error.what}")
        return None


def find_program(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The program of that name in an unpacked archive, the one nearest to its root."""
    found = [path for path in folder.rglob("*") if path.name in names and path.is_file()]
    program = min(found, key=lambda path: (len(path.parts), names.index(path.name)), default=None)
    if program is not None:
        program.chmod(_PROGRAM_MODE)  # a zip does not say that a file is a program
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
        raise _refused(entry, "its digest is not the table's", "do not run it; report this") from error
    except _LimitError as error:
        raise _refused(entry, f"it {error}", "do not use that address; report this") from error
    except OSError as error:
        if error.errno in _NO_ROOM or isinstance(error, PermissionError):
            raise
        raise _refused(
            entry, f"it could not be fetched ({error})", "check the network or a proxy, or install a server"
        ) from error


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


def _unpack(archive: Path, target: Path, entry: Entry) -> None:
    target.mkdir(mode=0o700)
    room = _Room()
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                for info in opened.infolist():
                    _demand_inside([info.filename])
                    room.take(info.file_size)
                    opened.extract(info, target)
            return
        with _opened(archive) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                _demand_inside([member.name])
                room.take(member.size)
                tar.extract(member, target, filter="data")
    except _EscapeError as error:
        raise _refused(entry, f"its archive holds {error}, outside its folder", "do not use it; report this") from error
    except _LimitError as error:
        raise _refused(entry, f"its archive {error}", "do not use it; report this") from error
    except _unpacking_errors() as error:
        if isinstance(error, OSError) and (error.errno in _NO_ROOM or isinstance(error, PermissionError)):
            raise
        raise _refused(entry, f"its archive cannot be unpacked ({error})", "remove the entry, or correct it") from error


class _EscapeError(Exception):
    """A name in an archive that leads out of the folder that it is unpacked to."""


class _LimitError(Exception):
    """More bytes, files or time than any server takes."""


class _Room:
    """What an archive may still unpack to."""

    def __init__(self) -> None:
        self._bytes = _UNPACKED_BYTES
        self._files = _UNPACKED_FILES

    def take(self, size: int) -> None:
        """Count one more file. _LimitError when there is no room for it."""
        self._bytes -= size
        self._files -= 1
        if self._bytes < 0 or self._files < 0:
            raise _LimitError(f"unpacks to more than {_UNPACKED_BYTES} bytes in {_UNPACKED_FILES} files")


def _demand_inside(names: list[str]) -> None:
    for name in names:
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            raise _EscapeError(name)


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[IO[bytes]]:
    """The archive's bytes; those of Zstandard, which tarfile knows from Python 3.14 on only, decompressed."""
    with archive.open("rb") as raw:
        if archive.suffix not in (".zst", ".zstd"):
            yield raw
            return
        with _zstd_reader(raw) as stream:
            yield stream


def _unpacking_errors() -> tuple[type[Exception], ...]:
    """What bytes that are no archive raise; those of Zstandard where a library for it is there."""
    found: list[type[Exception]] = [zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile]
    found += [EOFError, OSError, ValueError, RuntimeError]
    for library in ("compression.zstd", "zstandard"):
        with contextlib.suppress(ImportError):
            found.append(importlib.import_module(library).ZstdError)
    return tuple(found)


def _zstd_reader(raw: IO[bytes]) -> Any:  # noqa: ANN401 - a stream of whichever library is there
    with contextlib.suppress(ImportError):
        return importlib.import_module("compression.zstd").ZstdFile(raw)
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError as error:
        raise ValueError("Zstandard needs Python 3.14 or `pip install ci-tools[download]`") from error
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(raw)


def _refused(entry: Entry, why: str, hint: str) -> ServiceError:
    return ServiceError(
        f"{entry.distribution} {entry.version} was not downloaded: {why}",
        details=[f"from:   {entry.url}", f"sha256: {entry.sha256}, stated by {entry.source}"],
        hint=hint,
    )
