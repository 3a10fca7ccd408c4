"""A session's fixture that loads a module, changes its setting at once and takes that back at the end has left nothing."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

CONFTEST = """
import pytest


@pytest.fixture(scope="session", autouse=True)
def memory_is_traced():
    import tracemalloc

    tracemalloc.start()
    yield
    tracemalloc.stop()
"""
SUITE = """
def test_one():
    pass


def test_two():
    pass
"""
OFFENDERS = """
import tracemalloc


def test_one():
    tracemalloc.stop()
    tracemalloc.start()


def test_that_starts_it():
    tracemalloc.start()


def test_innocent():
    assert not tracemalloc.is_tracing()
"""


def test_what_a_session_starts_and_stops_is_no_tests_change(tmp_path: Path) -> None:
    """Nobody could note the start: the module was loaded a line before."""
    write_suite(tmp_path, {"conftest.py": CONFTEST, "test_it.py": SUITE})
    run = run_suite(tmp_path, "-q")
    assert set(run.outcomes.values()) == {Outcome.PASSED}, run.output
    assert len(run.outcomes) == 2
    assert not run.leaks


def test_a_test_that_starts_it_is_told(tmp_path: Path) -> None:
    """As before, once the module is known."""
    write_suite(tmp_path, {"test_it.py": OFFENDERS})
    run = run_suite(tmp_path, "-q")
    assert [(one.leak.kind, one.leak.owner) for one in run.leaks] == [
        ("environment", "test_it.py::test_one"),
        ("environment", "test_it.py::test_that_starts_it"),
    ], run.output
    assert run.outcomes["test_it.py::test_innocent"] is Outcome.PASSED
