"""A function of the test's file replaces a module's function.

kind: patch
outcome: error
"""

import json


def _fake() -> None:
    json.corpus_loads = json.loads  # type: ignore[attr-defined]  # made here


def test_offender() -> None:
    """Passes."""
    _fake()


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not hasattr(json, "corpus_loads")
