"""Files put down whole: whoever reads one sees the old content or the new, never a half."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

MODE = 0o644
"""Artifacts are read by other users and by the next job; ``mkstemp`` alone would leave 0600."""

_BUFFER_BYTES = 1 << 18
_IS_WINDOWS = os.name == "nt"


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, newlines as they are; a lone surrogate becomes its escape, so that the file is UTF-8."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """The same for bytes."""
    write_chunks(path, (data,))


def write_chunks(path: Path, chunks: Iterable[bytes | str]) -> None:
    """Replace ``path`` by a file of these in one step, with folders made as needed; OSError leaves the old file as it was.

    They are written as they come, so that what is larger than memory can be put down; text as ``write_text`` does.

    The data is on the disk before the name points at it: a machine that loses power keeps one of the two.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a rename does not cross file systems.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb", buffering=_BUFFER_BYTES) as stream:
            for chunk in chunks:
                stream.write(chunk.encode("utf-8", "backslashreplace") if isinstance(chunk, str) else chunk)
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(MODE)
        part.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk, where the platform lets a folder be opened."""
    if _IS_WINDOWS:
        return
    # Some network file systems refuse to sync a folder; the file is whole all the same.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
