"""A library that is not installed is put into sys.modules.

kind: environment
outcome: error
says: module corpus_invented was absent
"""

import sys
import types


def test_offender() -> None:
    """Passes."""
    sys.modules["corpus_invented"] = types.ModuleType("corpus_invented")  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert "corpus_invented" not in sys.modules
