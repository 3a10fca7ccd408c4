"""A library is made to look as if it was not installed, and stays so.

kind: environment
outcome: error
says: module corpus_not_installed was absent and is now None
"""

import importlib.util
import sys


def test_offender() -> None:
    """Nobody can import it any more."""
    sys.modules["corpus_not_installed"] = None  # type: ignore[assignment] # made here


def test_innocent() -> None:
    """It is merely not there."""
    assert importlib.util.find_spec("corpus_not_installed") is None
