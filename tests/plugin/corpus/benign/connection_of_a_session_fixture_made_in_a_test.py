"""A session's pool opens its connection when the first test asks for it, and keeps it."""

import socket
from collections.abc import Iterator

import pytest


class Pool:
    """Opens one connection, late."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Know where to."""
        self.address = address
        self.free: list[socket.socket] = []

    def get(self) -> socket.socket:
        """The one connection."""
        if not self.free:
            self.free.append(socket.create_connection(self.address))
        return self.free[0]


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One for all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = Pool(listener.getsockname())
        yield pool
        for line in pool.free:
            line.close()


@pytest.mark.parametrize("number", range(3))
def test_it(pool: Pool, number: int) -> None:
    """Finds it open."""
    assert pool.get().fileno() > 0
