"""A session's fixture connects while a test runs; others close what they open."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest


class Store:
    """Connects when it is first asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connections: list[sqlite3.Connection] = []

    def ask(self, text: str) -> object:
        """One question, over a connection that is kept."""
        if not self.connections:
            self.connections.append(sqlite3.connect(self.path))
        return self.connections[0].execute(text).fetchone()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Closes what it has opened by then."""
    store = Store(tmp_path_factory.mktemp("store") / "it.db")
    yield store
    for connection in store.connections:
        connection.close()


def test_connects(store: Store) -> None:
    """Makes it connect."""
    assert store.ask("select 1") == (1,)


def test_connected(store: Store) -> None:
    """Finds it connected."""
    assert store.ask("select 2") == (2,)


def test_closes() -> None:
    """By hand, and by a context."""
    with contextlib.closing(sqlite3.connect(":memory:", 5.0, 0, "DEFERRED", 1, sqlite3.Connection)) as one:
        assert isinstance(one, sqlite3.Connection)
    two = sqlite3.connect(database=":memory:", isolation_level=None)
    two.close()
