"""A session's fixture keeps a temporary folder; tests write into it, and another one cleans up after itself."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """One for all."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("number", range(2))
def test_it(folder: Path, number: int) -> None:
    """Writes."""
    (folder / str(number)).write_text("1", encoding="utf-8")
    with tempfile.NamedTemporaryFile() as file, tempfile.TemporaryDirectory():
        file.write(b"1")
