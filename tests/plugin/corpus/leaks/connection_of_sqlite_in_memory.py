"""A cursor keeps a database in memory open; sqlite3 is imported by the test itself.

kind: connection
outcome: error
says: connection of sqlite3 to :memory:
"""

KEPT = []


def test_offender() -> None:
    """Passes."""
    from sqlite3 import connect

    KEPT.append(connect(":memory:").cursor())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
