"""Patches of every kind that are left again: by `with`, a stack, a decorator, a fixture, a clean-up, and by hand."""

import contextlib
import os
import shutil
import unittest
from unittest import mock

import pytest


@pytest.fixture(scope="module")
def patched():
    with mock.patch("shutil.move") as standing:
        yield standing


@pytest.fixture(scope="module")
def by_hand():
    patch = pytest.MonkeyPatch()
    patch.setattr(shutil, "corpus_extra", 1, raising=False)
    yield patch
    patch.undo()


def test_of_a_fixture(patched):
    assert shutil.move is patched


def test_once_more(patched):
    assert shutil.move is patched


def test_through_a_fixture(by_hand):
    by_hand.setattr(shutil, "corpus_more", 2, raising=False)


@mock.patch("shutil.which")
@mock.patch.dict(os.environ, {"CORPUS_PATCHED": "1"})
def test_decorated(which):
    assert shutil.which is which


def test_by_hand():
    patch = mock.patch.object(shutil, "copy")
    patch.__enter__()
    patch.__exit__(None, None, None)
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as short:
        stack.enter_context(mock.patch("shutil.rmtree"))
        short.setenv("CORPUS_SHORT", "1")
    made = pytest.MonkeyPatch()
    made.setattr(shutil, "copy", None)
    made.undo()


class TestCleanUp(unittest.TestCase):
    """As unittest does it."""

    def setUp(self):
        patch = mock.patch("shutil.copytree")
        patch.start()
        self.addCleanup(patch.stop)
        self.enterContext(mock.patch("shutil.copy2"))

    def test_it(self):
        assert isinstance(shutil.copytree, mock.Mock)
        assert isinstance(shutil.copy2, mock.Mock)
