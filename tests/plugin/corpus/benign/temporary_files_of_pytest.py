"""pytest's own temporary folders stay, on purpose."""

from pathlib import Path

import pytest


def test_it(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leaves files where pytest keeps them."""
    (tmp_path / "kept.txt").write_text("1", encoding="utf-8")
    (tmp_path_factory.mktemp("more") / "kept.txt").write_text("2", encoding="utf-8")
