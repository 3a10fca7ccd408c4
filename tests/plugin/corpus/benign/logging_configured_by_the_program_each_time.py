"""A program configures its logging whenever it is built, by `dictConfig` or by hand, and each test builds it anew."""

import logging
import sys
import types
from pathlib import Path

import pytest

PROGRAM = """
import logging
import logging.config
import sys

CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"corpus.built": {"handlers": ["console"], "level": "INFO", "propagate": False}},
}


def build(level="INFO"):
    logging.config.dictConfig(CONFIG)
    logging.getLogger("corpus.built").setLevel(level)


def build_by_hand():
    logger = logging.getLogger("corpus.by_hand")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.StreamHandler(sys.stderr))
"""
program = types.ModuleType("corpus_program")
program.__file__ = str(Path(__file__).with_name("corpus_program.py"))
exec(compile(PROGRAM, program.__file__, "exec"), vars(program))


@pytest.fixture
def app():
    program.build()


@pytest.fixture(scope="module")
def migrated():
    program.build("ERROR")


@pytest.mark.parametrize("number", range(3))
def test_it(app, number, caplog):
    logging.getLogger("corpus.built").info("said")
    assert logging.getLogger("corpus.built").level == logging.INFO


@pytest.mark.parametrize("number", range(3))
def test_by_hand(number):
    program.build_by_hand()
    assert len(logging.getLogger("corpus.by_hand").handlers) == 1


def test_of_another_level(app):
    program.build("DEBUG")
    assert sys.stderr is not None


def test_of_a_wider_fixture(migrated, app):
    assert logging.getLogger("corpus.built").level == logging.INFO
