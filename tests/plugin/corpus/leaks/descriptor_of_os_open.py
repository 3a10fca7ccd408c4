"""A raw descriptor is never closed.

kind: descriptor
outcome: error
says: raw.bin
"""

import os
from pathlib import Path


def test_offender(tmp_path: Path) -> None:
    """Passes."""
    os.open(tmp_path / "raw.bin", os.O_CREAT | os.O_RDWR, 0o600)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
