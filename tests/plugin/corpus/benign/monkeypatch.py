"""pytest's monkeypatch puts everything back."""

import sys
from pathlib import Path

import pytest


def test_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Changes everything, for itself alone."""
    monkeypatch.setenv("CORPUS_MONKEY", "1")
    monkeypatch.delenv("PATH")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "excepthook", print)
