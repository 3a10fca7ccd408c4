"""A module's fixture opens a database and never closes it; its class is the project's own.

kind: connection
outcome: error
owner: fixture orders (module)
"""

import sqlite3

import pytest

KEPT = []


class Orders(sqlite3.Connection):
    """A database of its own kind."""


@pytest.fixture(scope="module")
def orders() -> Orders:
    """Gives it, and forgets it."""
    KEPT.append(sqlite3.connect(":memory:", factory=Orders))  # made here
    return KEPT[-1]


def test_offender(orders: Orders) -> None:
    """Uses it."""
    assert orders.execute("select 1").fetchone() == (1,)


def test_another(orders: Orders) -> None:
    """Uses it, too."""
    assert not orders.in_transaction


def test_innocent() -> None:
    """An innocent neighbour."""
