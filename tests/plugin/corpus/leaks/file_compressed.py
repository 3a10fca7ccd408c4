"""A compressed file is never closed.

kind: file
outcome: error
says: it.bz2
"""

import bz2
from pathlib import Path

KEPT = []


def test_offender(tmp_path: Path) -> None:
    """Passes."""
    KEPT.append(bz2.open(tmp_path / "it.bz2", "wb"))  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
