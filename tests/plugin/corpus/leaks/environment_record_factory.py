"""The factory of log records is replaced and stays so.

kind: environment
outcome: error
says: factory of log records
"""

import logging


def test_offender() -> None:
    """Each record of every later test comes past here."""
    logging.setLogRecordFactory(type("Record", (logging.LogRecord,), {}))  # made here


def test_innocent() -> None:
    """Records are made as usual."""
    assert logging.getLogRecordFactory() is logging.LogRecord
