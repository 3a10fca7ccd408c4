"""The working folder is changed and stays.

kind: environment
outcome: error
says: working folder
"""

import os
from pathlib import Path

BEFORE = Path.cwd()


def test_offender(tmp_path: Path) -> None:
    """Passes."""
    os.chdir(tmp_path)  # made here


def test_innocent() -> None:
    """Finds the folder as it was."""
    assert Path.cwd() == BEFORE
