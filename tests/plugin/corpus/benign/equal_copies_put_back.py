"""What is put back is a copy that was taken before: equal to what was there, but not the same object."""

import copy
import string
import textwrap
import unittest

import pytest

textwrap.kinds = {"plain": 1, "nested": {"deep": [1, 2]}}
textwrap.names = ["one"]
string.limits = {1, 2}


@pytest.fixture(scope="module", autouse=True)
def kinds():
    before = copy.deepcopy(textwrap.kinds)
    yield
    textwrap.kinds = before


@pytest.fixture
def names():
    before = textwrap.names[:]
    yield textwrap.names
    textwrap.names = before


def test_changes_the_object_itself(names):
    textwrap.kinds["more"] = 2
    textwrap.kinds["nested"]["deep"].append(3)
    names.append("two")
    assert textwrap.names == ["one", "two"]


class TestCase(unittest.TestCase):
    def setUp(self):
        self.before = set(string.limits)

    def tearDown(self):
        string.limits = self.before

    def test_it(self):
        string.limits.add(3)
        assert 3 in string.limits


def test_last():
    assert (textwrap.names, string.limits) == (["one"], {1, 2})
