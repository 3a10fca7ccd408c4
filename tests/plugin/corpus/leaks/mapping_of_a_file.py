"""A file stays mapped.

kind: file
outcome: error
says: mapping of 4096 bytes
"""

import mmap
from pathlib import Path

KEPT = []


def test_offender(tmp_path: Path) -> None:
    """Closes the file, which does not unmap it."""
    path = tmp_path / "table"
    path.write_bytes(bytes(4096))
    with path.open("r+b") as file:
        KEPT.append(mmap.mmap(file.fileno(), 0))  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
