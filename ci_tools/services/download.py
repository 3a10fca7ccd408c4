"""Download: a server's archive from a table, refused unless its digest is the table's, unpacked where it cannot escape.

The table is data (``downloads.json``); each entry names who states its digest. A table of the user's own, of the same
form, is read first: ``CI_TOOLS_DOWNLOADS`` names its file.
"""

import contextlib
import importlib
import platform
import secrets
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

import platformdirs
from filelock import FileLock
from packaging.version import Version

from ci_tools.errors import ServiceError
from ci_tools.model import codec
from ci_tools.model.service import ServiceSpec
from ci_tools.services.versions import fits

TABLE_VARIABLE = "CI_TOOLS_DOWNLOADS"

_PROGRAM_MODE = 0o755
_TIMEOUT_S = 60.0
_LOCK_TIMEOUT_S = 600.0
_TRIES = 1
_BYTES_AT_ONCE = 1 << 16
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
    """The user's table, then the one that is checked in. DecodeError when the user's is no table."""
    own: tuple[Entry, ...] = ()
    if environ.get(TABLE_VARIABLE):
        path = Path(environ[TABLE_VARIABLE])
        own = codec.loads(tuple[Entry, ...], path.read_bytes(), where=str(path))
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
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(f"{target}.lock", timeout=_LOCK_TIMEOUT_S):
        if target.is_dir():
            return target
        part = target.with_name(f"{entry.sha256}.{secrets.token_hex(4)}")
        part.mkdir(mode=0o700)
        try:
            archive = _download(entry, part)
            unpacked = part / "unpacked"
            _unpack(archive, unpacked, entry)
            unpacked.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


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
    except OSError as error:
        raise _refused(
            entry, f"it could not be fetched ({error})", "check the network or a proxy, or install a server"
        ) from error


def _to_file(url: str, output: str, _shelf: object) -> None:
    """Pooch's own downloader leaves the connection of a download that breaks off open; this one closes it."""
    requests = importlib.import_module("requests")
    with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer, Path(output).open("wb") as file:
        answer.raise_for_status()
        file.writelines(answer.iter_content(_BYTES_AT_ONCE))


def _unpack(archive: Path, target: Path, entry: Entry) -> None:
    target.mkdir(mode=0o700)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _demand_inside(opened.namelist())
                for name in opened.namelist():
                    opened.extract(name, target)
            return
        with _opened(archive) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
            for member in tar:
                _demand_inside([member.name])
                tar.extract(member, target, filter="data")
    except _EscapeError as error:
        raise _refused(entry, f"its archive holds {error}, outside its folder", "do not use it; report this") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise _refused(entry, f"its archive cannot be unpacked ({error})", "remove the entry, or correct it") from error


class _EscapeError(Exception):
    """A name in an archive that leads out of the folder that it is unpacked to."""


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
