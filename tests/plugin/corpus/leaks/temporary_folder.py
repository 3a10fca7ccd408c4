"""A temporary folder is made and not removed.

kind: temporary
outcome: error
says: corpus-left
"""

import tempfile
from pathlib import Path

MADE = []


def test_offender() -> None:
    """Passes."""
    MADE.append(tempfile.mkdtemp(prefix="corpus-left"))  # made here


def test_innocent() -> None:
    """Finds it gone."""
    assert [path for path in MADE if Path(path).exists()] == []
