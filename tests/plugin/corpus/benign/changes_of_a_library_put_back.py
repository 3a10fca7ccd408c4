"""A library changes a setting, a logger and its switches when it is used, and the test puts back what was there before."""

import gc
import logging
import types
from collections.abc import Iterator

import pytest

library = types.ModuleType("corpus_changing")
library.__file__ = "/usr/lib/invented/corpus_changing.py"
TEXT = """
import gc
import logging


class Logger(logging.Logger):
    pass


def begin(name="corpus_changing"):
    logging.setLoggerClass(Logger)
    gc.disable()
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.disabled = True
"""
exec(compile(TEXT, library.__file__, "exec"), vars(library))
LOGGER = logging.getLogger("corpus_changing")


class TestWithSetUp:
    """As the set-up found it."""

    def setup_method(self) -> None:
        self.kind = logging.getLoggerClass()

    def teardown_method(self) -> None:
        logging.setLoggerClass(self.kind)
        gc.enable()
        LOGGER.setLevel(logging.NOTSET)
        LOGGER.propagate, LOGGER.disabled = True, False

    def test_it(self) -> None:
        library.begin()
        assert logging.getLoggerClass() is library.Logger


@pytest.fixture
def _quiet() -> Iterator[None]:
    level, kind = LOGGER.level, logging.getLoggerClass()
    yield
    LOGGER.setLevel(level)
    LOGGER.propagate, LOGGER.disabled = True, False
    logging.setLoggerClass(kind)
    gc.enable()


@pytest.mark.usefixtures("_quiet")
def test_with_a_fixture() -> None:
    library.begin()
    assert not gc.isenabled()


def test_that_changes_what_the_library_has_left() -> None:
    """Of a logger that no other test asks for: they run in any order."""
    logger = logging.getLogger("corpus_changing.left")
    library.begin(logger.name)
    logger.setLevel(logging.ERROR)
    logger.setLevel(logging.DEBUG)
    logging.setLoggerClass(logging.Logger)
    gc.enable()
    logger.propagate, logger.disabled = True, False
