"""The file of mkstemp is removed, and its descriptor stays open.

kind: descriptor
outcome: error
"""

import tempfile
from pathlib import Path


def test_offender() -> None:
    """Passes."""
    _, name = tempfile.mkstemp()  # made here
    Path(name).unlink()


def test_innocent() -> None:
    """An innocent neighbour."""
