"""A file is kept open.

kind: file
outcome: error
says: note.txt
"""

from pathlib import Path

KEPT = []


def test_offender(tmp_path: Path) -> None:
    """Passes."""
    KEPT.append((tmp_path / "note.txt").open("w", encoding="utf-8"))  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
