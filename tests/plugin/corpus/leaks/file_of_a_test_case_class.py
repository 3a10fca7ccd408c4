"""open in class fixture of unittest.

kind: file
outcome: error
owner: setUpClass of TestIt (class)
"""

import unittest


class TestIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.file = open(__file__)  # made here

    def test_offender(self):
        pass


def test_innocent():
    """An innocent neighbour."""
