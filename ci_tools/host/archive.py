"""Archives made by strangers, unpacked as what they are: hostile. Nothing is written before everything was looked at."""

import io
import stat
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import DecodeError

_END = b"PK\x05\x06"
_END_BYTES = 22
_COMMENT_BYTES = 0xFFFF
_CHUNK_BYTES = 1 << 16
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an archive may be: entries and their depth, bytes of one file and of all, bytes of the directory at its end."""

    entries: int = 5_000
    depth: int = 8
    name_length: int = 200
    file_bytes: int = 50_000_000
    total_bytes: int = 200_000_000
    directory_bytes: int = 2_000_000


DEFAULT_LIMITS = Limits()


def extract(data: bytes, folder: Path, *, limits: Limits = DEFAULT_LIMITS, where: str = "archive") -> tuple[Path, ...]:
    """Unpack a zip into ``folder``, which is made and must not hold anything; the files written.

    DecodeError for absolute or climbing names, links and devices, names that differ in case only, encryption, too many
    entries, and more bytes than the limits – counted while unpacking, whatever the archive says of itself.
    """
    _check_directory(data, limits, where)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise DecodeError(f"{folder} is not empty", hint="unpack each archive into a new folder")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = _checked_names(entries, limits, where)
            room = limits.total_bytes
            for entry, name in zip(entries, names, strict=True):
                if not entry.is_dir():
                    room -= _write(archive, entry, folder / name, min(room, limits.file_bytes), where)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise DecodeError(
            f"{where} is no archive that can be unpacked: {error}", hint="it was cut off, or made to mislead"
        ) from error
    return tuple(folder / name for entry, name in zip(entries, names, strict=True) if not entry.is_dir())


def _check_directory(data: bytes, limits: Limits, where: str) -> None:
    """Bound the memory that reading the directory takes, before the standard library reads it."""
    end = data.rfind(_END, max(0, len(data) - _END_BYTES - _COMMENT_BYTES))
    if end < 0 or len(data) < end + _END_BYTES:
        raise DecodeError(f"{where} is no zip archive", hint="it was cut off, or made to mislead")
    (size,) = struct.unpack_from("<L", data, end + 12)
    if size > limits.directory_bytes:
        what = f"{where} has a directory of {size} bytes, expected at most {limits.directory_bytes}"
        raise DecodeError(what, hint="it has far more files than a run leaves behind")


def _checked_names(entries: list[zipfile.ZipInfo], limits: Limits, where: str) -> list[str]:
    if len(entries) > limits.entries:
        raise DecodeError(
            f"{where} has {len(entries)} entries, expected at most {limits.entries}", hint="a run leaves far fewer behind"
        )
    names = [_checked_name(entry, limits, where) for entry in entries]
    if len({name.casefold() for name in names}) < len(names):
        raise DecodeError(f"{where} holds a name twice", hint="on some systems one would overwrite the other")
    return names


def _checked_name(entry: zipfile.ZipInfo, limits: Limits, where: str) -> str:
    name = entry.orig_filename
    parts = name.removesuffix("/").split("/")
    mode = stat.S_IFMT(entry.external_attr >> 16)
    faults = (
        ("is not a name of plain characters", not name.isprintable() or any(character in name for character in '\\:*?"<>|')),
        ("leaves the folder", any(part in {"", ".", ".."} for part in parts)),
        ("lies too deep or is too long", len(parts) > limits.depth or len(name) > limits.name_length),
        ("is a link or a device", mode not in {0, stat.S_IFREG, stat.S_IFDIR}),
        ("is encrypted", bool(entry.flag_bits & _ENCRYPTED)),
        ("is compressed in an unusual way", entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}),
        ("is too large", entry.file_size > limits.file_bytes),
    )
    for fault, is_so in faults:
        if is_so:
            raise DecodeError(f"{where} holds {name[:100]!r}, which {fault}", hint="nothing of it was unpacked")
    return "/".join(parts)


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, room: int, where: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(entry) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                what = f"{where} unpacks to more than the {room} bytes that were left for {entry.filename[:100]!r}"
                raise DecodeError(what, hint="it is far larger than what a run leaves behind")
            target.write(chunk)
    return written
