"""A number that an object of the project keeps, however deep below a module's global, is no descriptor left open."""

from pathlib import Path

from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

PIPES = """
import os


class Started:
    def __init__(self):
        self.ours, self.theirs = os.pipe()

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)
"""
POOL = """
from workshop.pipes import Started


class Worker:
    def __init__(self):
        self.started = Started()


class Pool:
    def __init__(self):
        self.workers = {}

    def start(self, name):
        self.workers[name] = Worker()


class Forgetful(Pool):
    def start(self, name):
        Worker()


_POOL = None


def pool():
    global _POOL
    _POOL = _POOL or Pool()
    return _POOL
"""
SUITE = """
from workshop.pool import Forgetful, pool


def test_of_the_pool():
    pool().start("first")


def test_forgotten():
    Forgetful().start("first")


def test_end():
    pool().workers.pop("first").started.close()
"""


def test_a_pool_keeps_its_workers_pipes(tmp_path: Path) -> None:
    """The pool is another module's than the code that opens the pipe; what nobody keeps is told as ever."""
    (tmp_path / "workshop").mkdir()
    write_suite(
        tmp_path,
        {"workshop/__init__.py": "", "workshop/pipes.py": PIPES, "workshop/pool.py": POOL, "test_it.py": SUITE},
    )
    run = run_suite(tmp_path, "-q")
    outcomes = {test_id.partition("::")[2]: outcome for test_id, outcome in run.outcomes.items()}
    assert outcomes == {
        "test_of_the_pool": Outcome.PASSED,
        "test_forgotten": Outcome.ERROR,
        "test_end": Outcome.PASSED,
    }, run.output
    assert [one.leak.kind for one in run.leaks] == ["descriptor", "descriptor"]
