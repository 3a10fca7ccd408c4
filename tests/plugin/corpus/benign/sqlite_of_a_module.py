"""A module keeps one connection to its cache, opened by whoever asks first."""

import sqlite3


class Cache:
    """Remembers, in a database in memory."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None

    def get(self) -> int:
        """Opens it when it is first asked."""
        if self._connection is None:
            self._connection = sqlite3.connect(":memory:")
        return self._connection.execute("select 1").fetchone()[0]


CACHE = Cache()


def test_first() -> None:
    """Opens it."""
    assert CACHE.get() == 1


def test_second() -> None:
    """Finds it open."""
    assert CACHE.get() == 1
