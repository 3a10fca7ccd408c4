"""A named logger is given a handler that stays.

kind: environment
outcome: error
says: logger corpus.noted's handlers
"""

import logging


def test_offender() -> None:
    """Passes."""
    logging.getLogger("corpus.noted").addHandler(logging.NullHandler())  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert not __import__("logging").getLogger("corpus.noted").handlers
