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


def begin():
    logging.setLoggerClass(Logger)
    gc.disable()
    logger = logging.getLogger("corpus_changing")
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
    library.begin()
    LOGGER.setLevel(logging.ERROR)
    LOGGER.setLevel(logging.DEBUG)
    logging.setLoggerClass(logging.Logger)
    gc.enable()
    LOGGER.propagate, LOGGER.disabled = True, False
