"""A pool of threads that the project's own class or object keeps lives as long as its module, whichever test came first."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

KEEPING = """
from concurrent.futures import ThreadPoolExecutor


class OfTheClass:
    executor = ThreadPoolExecutor(max_workers=1)

    @classmethod
    def run(cls, function):
        return cls.executor.submit(function).result(30)


class Service:
    def __init__(self):
        self._executor = None

    def run(self, function):
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1)
        return self._executor.submit(function).result(30)


SERVICE = Service()
"""
SUITE = """
from concurrent.futures import ThreadPoolExecutor

import keeping


def test_of_the_class():
    assert keeping.OfTheClass.run(lambda: 1) == 1


def test_of_an_object():
    assert keeping.SERVICE.run(lambda: 1) == 1


class TestOwn:
    executors = []

    def test_one_of_its_own(self):
        self.executors.append(keeping.Service())
        assert self.executors[-1].run(lambda: 1) == 1
"""


def test_a_pool_that_a_module_of_the_project_keeps_is_nobodys_leak(tmp_path: Path) -> None:
    """What the test's own module keeps in a container is forgotten there."""
    write_suite(tmp_path, {"keeping.py": KEEPING, "test_it.py": SUITE})
    run = run_suite(tmp_path, "-q")
    outcomes = {test_id.rpartition("::")[2]: outcome for test_id, outcome in run.outcomes.items()}
    assert outcomes == {
        "test_of_the_class": Outcome.PASSED,
        "test_of_an_object": Outcome.PASSED,
        "test_one_of_its_own": Outcome.ERROR,
    }, run.output
    assert [one.leak.kind for one in run.leaks] == ["thread"]
