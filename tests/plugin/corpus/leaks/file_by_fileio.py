"""A raw file of the io module is never closed.

kind: file
outcome: error
says: raw.bin
"""

import io
from pathlib import Path

KEPT = []


def test_offender(tmp_path: Path) -> None:
    """Passes."""
    KEPT.append(io.FileIO(tmp_path / "raw.bin", "w"))  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
