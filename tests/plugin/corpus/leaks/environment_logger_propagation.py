"""A logger is told not to propagate, and stays so.

kind: environment
outcome: error
says: logger corpus.silenced's propagation was True and is now False
"""

import logging


def test_offender() -> None:
    """Silences it for everybody."""
    logging.getLogger("corpus.silenced").propagate = False  # made here


def test_innocent() -> None:
    """It propagates again."""
    assert logging.getLogger("corpus.silenced").propagate
