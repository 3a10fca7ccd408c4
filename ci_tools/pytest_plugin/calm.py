"""Calm: while tests are collected, Python's garbage collector looks less often.

Importing a test file makes objects by the hundred thousand – syntax trees, functions, parameters – and nearly all of them stay.
The collector walks through them again and again: that takes a fifth of the collection's CPU. Garbage is still found, and every
test runs with the thresholds that the suite has chosen.
"""

import gc
from collections.abc import Generator

import pytest

_OBJECTS = 100_000
"""More new objects than this are looked at: Python's own figure is 700, or 2,000. What may lie about is some 20 MB."""


class Calm:
    """Calm from now on until collection is over. Whoever sets other thresholds, or switches the collector off, is obeyed."""

    def __init__(self) -> None:
        self._usual = gc.get_threshold()
        self._calm = (_OBJECTS, *self._usual[1:])
        if 0 < self._usual[0] < _OBJECTS:
            gc.set_threshold(*self._calm)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        """Around everything that is imported for it."""
        try:
            return (yield)
        finally:
            self.end()

    def end(self) -> None:
        """As it was, unless somebody else has changed it."""
        if gc.get_threshold() == self._calm:
            gc.set_threshold(*self._usual)
