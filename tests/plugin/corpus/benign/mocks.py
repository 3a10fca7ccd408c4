"""Mocks of coroutines that nobody awaits, and patches that are stopped."""

from collections.abc import Iterator
from unittest import TestCase, mock

import pytest


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """A patch for the module."""
    patcher = mock.patch("os.curdir", "here")
    yield patcher.start()
    patcher.stop()


@pytest.mark.parametrize("number", range(2))
def test_it(folder: str, number: int) -> None:
    """Calls what it does not await: the mock counts the call."""
    callback = mock.MagicMock()
    callback(number)
    assert (folder, callback.call_count) == ("here", 1)


class TestOfUnittest(TestCase):
    """Stops what it starts."""

    def test_it(self) -> None:
        """By a clean-up."""
        patcher = mock.patch("os.extsep", "!")
        patcher.start()
        self.addCleanup(patcher.stop)
