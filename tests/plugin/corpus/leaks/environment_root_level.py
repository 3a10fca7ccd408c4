"""The level of the root logger is changed and stays so.

kind: environment
outcome: error
says: root logger's level
"""

import logging


def test_offender() -> None:
    """Makes everybody talkative."""
    logging.getLogger().setLevel(logging.DEBUG)  # made here


def test_innocent() -> None:
    """It is as it was."""
    assert logging.getLogger().level == logging.WARNING
