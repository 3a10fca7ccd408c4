"""Unpacking: an archive's files into a folder of their own, where nothing of it can lead outside or fill the disk."""

import contextlib
import errno
import importlib
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

UNPACKED_BYTES = 4 << 30
UNPACKED_FILES = 100_000
"""No server is larger: PostgreSQL for Windows with all its tools unpacks to a gigabyte."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

_PROGRAM_MODE = 0o755
_RUNS = 0o111
_MODE_SHIFT = 16  # of a zip's external attributes: the upper half is a POSIX mode, where its maker had one


class BadArchiveError(Exception):
    """Bytes that are no archive, or one that would write elsewhere or too much. The words say which."""


def unpack(archive: Path, target: Path) -> None:
    """Unpack a zip or a tar (gzip, bzip2, xz, Zstandard) into the new folder ``target``.

    Raises BadArchiveError; OSError when there is no room or no permission.
    """
    target.mkdir(mode=0o700)
    room = _Room()
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, target, room)
        else:
            _unpack_tar(archive, target, room)
    except _unpacking_errors() as error:
        if isinstance(error, OSError) and (error.errno in NO_ROOM or isinstance(error, PermissionError)):
            raise
        raise BadArchiveError(f"cannot be unpacked ({error})") from error


def unpack_inside(folder: Path, name: str) -> None:
    """Let ``folder`` hold what the archive ``name`` in it holds, and nothing else. Raises as ``unpack``."""
    _demand_inside(name)
    if not (folder / name).is_file():
        raise BadArchiveError(f"holds no {name}")
    outer = folder.with_name(f"{folder.name}.outer")
    folder.rename(outer)
    unpack(outer / name, folder)
    shutil.rmtree(outer)


def _unpack_zip(archive: Path, target: Path, room: "_Room") -> None:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            _demand_inside(info.filename)
            room.take(info.file_size)
            path = Path(opened.extract(info, target))
            is_program = info.external_attr >> _MODE_SHIFT & _RUNS or "bin" in PurePosixPath(info.filename).parts
            if is_program and path.is_file():
                path.chmod(_PROGRAM_MODE)  # zipfile does not, and a zip of Windows' does not say


def _unpack_tar(archive: Path, target: Path, room: "_Room") -> None:
    with _opened(archive) as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
        for member in tar:
            _demand_inside(member.name)
            room.take(member.size)
            tar.extract(member, target, filter="data")


class _Room:
    """What an archive may still unpack to."""

    def __init__(self) -> None:
        self._bytes = UNPACKED_BYTES
        self._files = UNPACKED_FILES

    def take(self, size: int) -> None:
        """Count one more file. BadArchiveError when there is no room for it."""
        self._bytes -= size
        self._files -= 1
        if self._bytes < 0 or self._files < 0:
            raise BadArchiveError(f"unpacks to more than {UNPACKED_BYTES} bytes in {UNPACKED_FILES} files")


def _demand_inside(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
        raise BadArchiveError(f"holds {name}, outside its folder")


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
