"""A session's fixture maps a file and shares memory while a test runs."""

import mmap
from collections.abc import Iterator
from multiprocessing import shared_memory

import pytest


class Board:
    """Has its memory when it is first asked."""

    def __init__(self) -> None:
        self.mapping: mmap.mmap | None = None
        self.block: shared_memory.SharedMemory | None = None

    def open(self) -> None:
        """The first time."""
        if self.mapping is None:
            self.mapping = mmap.mmap(-1, 4096)
            self.block = shared_memory.SharedMemory(create=True, size=10)


@pytest.fixture(scope="session")
def board() -> Iterator[Board]:
    """Puts everything away."""
    board = Board()
    yield board
    if board.mapping is not None and board.block is not None:
        board.mapping.close()
        board.block.close()
        board.block.unlink()


def test_opens(board: Board) -> None:
    """Makes it."""
    board.open()


def test_uses(board: Board) -> None:
    """Finds it as it was left."""
    board.open()
    assert board.mapping is not None
    assert len(board.mapping) == 4096


def test_of_its_own() -> None:
    """Made, written, put away."""
    block = shared_memory.SharedMemory(create=True, size=10)
    other = shared_memory.SharedMemory(block.name)
    other.buf[0] = 1
    assert block.buf[0] == 1
    other.close()
    block.close()
    block.unlink()
