"""A filter is put on a logger and stays.

kind: environment
outcome: error
says: logger corpus.filtered's filters
"""

import logging


def test_offender() -> None:
    """Lets nothing through, for everybody."""
    logging.getLogger("corpus.filtered").addFilter(logging.Filter("nobody"))  # made here


def test_innocent() -> None:
    """The filter is gone."""
    assert logging.getLogger("corpus.filtered").filters == []
