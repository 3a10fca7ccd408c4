"""A logger that bears its test's name is asked for by no other test."""

import logging
import unittest


def test_under_its_own_name():
    logger = logging.getLogger("test_under_its_own_name")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(logging.NullHandler())
    assert logger.isEnabledFor(logging.DEBUG)


def test_under_the_name_of_its_folder_which_is_shorter(tmp_path):
    logging.getLogger(f"corpus_{tmp_path.name}").setLevel(logging.INFO)


class TestCase(unittest.TestCase):
    def test_by_its_id(self):
        logger = logging.getLogger(self.id())
        logger.setLevel(logging.INFO)
        assert logger.level
