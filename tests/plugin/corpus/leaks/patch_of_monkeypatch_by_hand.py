"""A MonkeyPatch that is no fixture is never undone.

kind: patch
outcome: error
says: a MonkeyPatch made by hand is not undone
"""

import os
import textwrap

import pytest

KEPT = []


def test_offender():
    patch = pytest.MonkeyPatch()
    KEPT.append(patch)
    patch.setenv("CORPUS_MONKEYPATCH", "1")  # made here
    patch.setattr(textwrap, "dedent", None)


def test_innocent():
    """All of it is as it was."""
    assert textwrap.dedent is not None
    assert "CORPUS_MONKEYPATCH" not in os.environ
