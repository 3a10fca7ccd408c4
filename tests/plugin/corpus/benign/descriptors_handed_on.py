"""A raw descriptor belongs to whatever it was given to."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest


class Log:
    """Opens its file when it is first written to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[str] | None = None
        self.socket: socket.socket | None = None

    def write(self, text: str) -> None:
        """Appends."""
        if self.file is None:
            self.file = os.fdopen(os.open(self.path, os.O_CREAT | os.O_WRONLY), "w")
            self.socket = socket.socket(fileno=socket.socket().detach())
        self.file.write(text)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """Closed in the end."""
    log = Log(tmp_path_factory.mktemp("log") / "it")
    yield log
    if log.file is not None and log.socket is not None:
        log.file.close()
        log.socket.close()


def test_writes(log: Log) -> None:
    """Opens it."""
    log.write("one")


def test_writes_again(log: Log) -> None:
    """Finds it open."""
    log.write("two")


def test_standard_output_there_and_back() -> None:
    """A copy is kept, and put back."""
    saved = os.dup(1)
    read, write = os.pipe()
    os.dup2(write, 1)
    os.dup2(saved, 1)
    for number in (saved, read, write):
        os.close(number)


def test_temporary(tmp_path: Path) -> None:
    """Wrapped and closed."""
    number, name = tempfile.mkstemp(dir=tmp_path)
    with os.fdopen(number, "w") as file:
        file.write("x")
    Path(name).unlink()
