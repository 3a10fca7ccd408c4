"""A named logger's level is raised and stays raised.

kind: environment
outcome: error
says: logger corpus.quiet's level was 0 and is now 50
"""

import logging


def test_offender() -> None:
    """Passes."""
    logging.getLogger("corpus.quiet").setLevel(logging.CRITICAL)  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
    assert __import__("logging").getLogger("corpus.quiet").level == 0
