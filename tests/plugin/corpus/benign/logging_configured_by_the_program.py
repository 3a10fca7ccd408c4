"""Logging is set up by a program's main function, and put back by caplog's fixtures."""

import logging

import pytest


@pytest.fixture
def own_logger():
    logger = logging.getLogger("corpus.program")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_it(own_logger, caplog):
    with caplog.at_level(logging.DEBUG, logger="corpus.other"):
        own_logger.info("said")
        logging.getLogger("corpus.other").debug("said too")
    assert len(caplog.records) == 2


def test_disabled_for_a_while():
    logging.disable(logging.INFO)
    try:
        logging.getLogger("corpus.program").info("not said")
    finally:
        logging.disable(logging.NOTSET)
