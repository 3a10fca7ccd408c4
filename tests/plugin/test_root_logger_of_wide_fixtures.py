"""What a wider fixture does to the root logger is that fixture's, and red is only the test after which it ends."""

from pathlib import Path

import pytest
from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

HELPER = """
import logging
import unittest

import pytest


def set_up_logging():
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(logging.StreamHandler())

"""
OF_A_CLASS = """
class TestIt(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        set_up_logging()

    def test_one(self):
        pass

    def test_two(self):
        pass
"""
OF_A_MODULE = """
def setup_module():
    set_up_logging()


def test_one():
    pass


def test_two():
    pass
"""
OF_THE_SESSION = """
@pytest.fixture(scope="session", autouse=True)
def logs():
    root = logging.getLogger()
    level = root.level
    set_up_logging()
    handler = root.handlers[-1]
    yield
    root.removeHandler(handler)
    root.setLevel(level)


def test_one():
    logging.getLogger("a").info("said")


def test_two():
    logging.getLogger("a").info("said")
"""


@pytest.mark.parametrize("options", [(), ("--log-level=DEBUG",), ("-p", "no:logging")], ids=["usual", "level", "no plugin"])
@pytest.mark.parametrize("suite", [OF_A_CLASS, OF_A_MODULE], ids=["setUpClass", "setup_module"])
def test_the_fixture_is_blamed_once(tmp_path: Path, suite: str, options: tuple[str, ...]) -> None:
    """Handlers that pytest lays on for one phase are no part of what a fixture set up in that phase has changed."""
    write_suite(tmp_path, {"test_it.py": HELPER + suite})
    run = run_suite(tmp_path, "-q", *options)
    outcomes = {test_id.rpartition("::")[2]: outcome for test_id, outcome in run.outcomes.items()}
    assert outcomes == {"test_one": Outcome.PASSED, "test_two": Outcome.ERROR}, run.output
    level = ["root logger's level"] if options != ("--log-level=DEBUG",) else []  # that is pytest's own then, which puts it back
    assert sorted(one.leak.what.partition(" was")[0] for one in run.leaks) == ["root logger's handlers", *level]
    owner = "setUpClass of TestIt (class)" if suite == OF_A_CLASS else "setup_module of test_it (module)"
    assert {one.leak.owner for one in run.leaks} == {owner}


def test_a_fixture_that_puts_it_back_is_not_accused(tmp_path: Path) -> None:
    """Whatever pytest has laid on and taken away in between."""
    write_suite(tmp_path, {"test_it.py": HELPER + OF_THE_SESSION})
    run = run_suite(tmp_path, "-q", "--log-level=INFO")
    assert set(run.outcomes.values()) == {Outcome.PASSED}, run.output
    assert not run.leaks
