"""A test class keeps what its tests share."""

import unittest


class TestShared:
    count = 0

    @classmethod
    def setup_class(cls):
        cls.opened = []

    def setup_method(self):
        type(self).count += 1
        TestShared.latest = self

    def test_one(self):
        assert self.count
        TestShared.opened.append(1)

    def test_two(self):
        assert TestShared.latest is self


class TestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = object()

    def setUp(self):
        self.own = object()
        TestCase.last = self.own

    def test_it(self):
        assert self.shared is not self.own
