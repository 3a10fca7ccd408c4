"""A library runs a function in an executor of its own; where that raises, a traceback holds the executor for a while."""

import contextlib
import types
from concurrent.futures import Future

import pytest

library = types.ModuleType("corpus_running_elsewhere")
library.__file__ = "/usr/lib/invented/corpus_running_elsewhere.py"
TEXT = """
from concurrent.futures import Future, ThreadPoolExecutor


def run(function):
    result = Future()
    executor = ThreadPoolExecutor(1)

    def call():
        try:
            result.set_result(function())
        except Exception as error:
            result.set_exception(error)

    executor.submit(call).result()
    return result.result()
"""
exec(compile(TEXT, library.__file__, "exec"), vars(library))


def fail() -> None:
    raise ValueError("corpus")


def test_that_raises() -> None:
    with pytest.raises(ValueError, match="corpus"):
        library.run(fail)


def test_that_catches() -> None:
    with contextlib.suppress(ValueError):
        library.run(fail)


def test_that_passes() -> None:
    assert library.run(Future) is not None
