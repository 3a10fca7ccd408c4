"""Where pytest is the first process of a container, orphans become its children: what a test left is told all the same."""

import os
import sys
from pathlib import Path

import pytest
from suites import run_suite, write_suite

from ci_tools.model.case import Outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets any process adopt orphans")

LIBRARY = """
import subprocess

HELPER = subprocess.Popen(["sleep", "600"])
"""
CONFTEST = """
import ctypes
import signal
import subprocess

import pytest

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


@pytest.fixture(scope="session", autouse=True)
def _end_of_the_library():
    yield
    import helping

    helping.HELPER.kill()
    helping.HELPER.wait()
"""
SUITE = """
import multiprocessing
import os
import subprocess
from multiprocessing import shared_memory

import pytest


def test_leaves_one():
    assert os.system("nohup sleep 600 > /dev/null 2>&1 &") == 0


def test_has_no_child():
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_imports_a_library_that_keeps_one():
    subprocess.run(["true"], check=True)
    import helping

    assert helping.HELPER.poll() is None


def test_starts_the_tracker_of_resources():
    subprocess.run(["true"], check=True)
    memory = shared_memory.SharedMemory(create=True, size=8)
    memory.close()
    memory.unlink()


def test_takes_all_children():
    subprocess.run(["true"], check=True)
    number = os.spawnlp(os.P_NOWAIT, "true", "true")
    assert os.waitpid(-1, 0)[0] == number
"""


def test_an_adopted_orphan_is_named_and_ended(tmp_path: Path) -> None:
    """Neither a library's own helper nor Python's own is an orphan; the one that was left is waited for, too."""
    library, suite = tmp_path / "library", tmp_path / "suite"
    library.mkdir()
    (library / "helping.py").write_text(LIBRARY, encoding="utf-8")
    suite.mkdir()
    write_suite(suite, {"conftest.py": CONFTEST, "test_it.py": SUITE})
    run = run_suite(suite, "-q", environ={"PYTHONPATH": os.pathsep.join((str(library), os.environ.get("PYTHONPATH", "")))})
    outcomes = {test_id.partition("::")[2]: outcome for test_id, outcome in run.outcomes.items()}
    assert outcomes == {
        "test_leaves_one": Outcome.ERROR,
        "test_has_no_child": Outcome.PASSED,
        "test_imports_a_library_that_keeps_one": Outcome.PASSED,
        "test_starts_the_tracker_of_resources": Outcome.PASSED,
        "test_takes_all_children": Outcome.PASSED,
    }, run.output
    assert [(one.leak.kind, "sleep 600" in one.leak.what) for one in run.leaks] == [("process", True)]
