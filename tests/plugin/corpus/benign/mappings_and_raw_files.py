"""Classes that the guards have put their own in the place of are used in every way."""

import io
import mmap
import sqlite3
from pathlib import Path
from typing import Self

import pytest


class Table(mmap.mmap):
    """A mapping with a class of its own."""

    def __new__(cls, size: int) -> Self:
        """In memory."""
        return super().__new__(cls, -1, size)


class Tap(io.FileIO):
    """Counts what is written."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "w")
        self.count = 0

    def write(self, data: bytes) -> int:
        """And writes it."""
        self.count += len(data)
        return super().write(data)


def test_mappings(tmp_path: Path) -> None:
    """Made, asked for their class, closed."""
    path = tmp_path / "it"
    path.write_bytes(b"0123")
    with path.open("rb") as file, mmap.mmap(file.fileno(), length=0, access=mmap.ACCESS_READ) as one, Table(10) as two:
        assert isinstance(one, mmap.mmap)
        assert isinstance(two, mmap.mmap)
        assert not isinstance(one, Table)
        assert issubclass(Table, mmap.mmap)
        match one:
            case mmap.mmap():
                assert one[:2] == b"01"


def test_raw_files(tmp_path: Path) -> None:
    """What open() gives is of the class, too."""
    with (
        (tmp_path / "one").open("wb", buffering=0) as one,
        Tap(tmp_path / "two") as two,
        io.BufferedWriter(Tap(tmp_path / "three")) as three,
    ):
        assert isinstance(one, io.FileIO)
        assert isinstance(two, io.FileIO)
        assert not isinstance(one, Tap)
        assert isinstance(one, io.RawIOBase)
        two.write(b"12")
        three.write(b"12")
    assert two.count == 2


def test_own_connections() -> None:
    """A factory's, a class's."""

    class Own(sqlite3.Connection):
        pass

    for made in (sqlite3.connect(":memory:", factory=Own), Own(":memory:")):
        assert type(made) is Own
        assert isinstance(made, sqlite3.Connection)
        made.close()


def test_nonsense_is_refused() -> None:
    """By the original's own errors."""
    with pytest.raises(TypeError):
        mmap.mmap()
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect("/nowhere/at/all")
    with pytest.raises(FileNotFoundError):
        io.FileIO("/nowhere/at/all")
