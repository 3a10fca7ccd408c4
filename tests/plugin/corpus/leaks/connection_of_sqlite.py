"""A connection to a database file is used and never closed.

kind: connection
outcome: error
says: connection of sqlite3 to
"""

import sqlite3
from pathlib import Path

KEPT = []


def test_offender(tmp_path: Path) -> None:
    """Ends its transaction, which closes nothing."""
    with sqlite3.connect(tmp_path / "orders.db") as connection:  # made here
        connection.execute("create table orders (number)")
    KEPT.append(connection)


def test_innocent() -> None:
    """An innocent neighbour."""
