"""Detached processes are found by what they inherited and when they were born, whatever their numbers are."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ci_tools.pytest_plugin.leaks import detached
from ci_tools.pytest_plugin.leaks.births import birth_of, now
from ci_tools.pytest_plugin.leaks.detached import Child, descendants_left

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell's background")

FIRST_NUMBER = 2
"""The first has every orphan for a child."""
LAST_NUMBER = 2**22
"""Linux gives no number above it, whatever was configured."""
INHERITED = {"PYTEST_CURRENT_TEST": "tests/test_it.py::test_it (call)", "CI_TOOLS_TESTED_BY": str(os.getpid())}


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that has gone; its number is known."""

    pid: int


_PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h


@pytest.fixture(autouse=True)
def _nobodys_foster_parent() -> None:
    """Orphans go to init here, as they do in a suite: a test of `ci-tools run` in this process may have taken them over."""
    if sys.platform == "linux":
        assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


@pytest.fixture
def leave() -> Iterator[Callable[..., psutil.Process]]:
    """Let a shell start something in its background, and end."""
    left: list[psutil.Process] = []

    def leave_one(script: str, environ: dict[str, str]) -> psutil.Process:
        command = f"{{ {script}; }} > /dev/null 2>&1 & echo $!"
        told = subprocess.run(["/bin/sh", "-c", command], env=environ, capture_output=True, text=True, timeout=30, check=True)
        left.append(psutil.Process(int(told.stdout)))
        return left[-1]

    yield leave_one
    for process in left:
        for one in (*process.children(recursive=True), process):
            one.send_signal(signal.SIGKILL)


def _child(pid: int, began: float) -> Child:
    return Child("process", Ended(pid), (), began)


@pytest.mark.parametrize("number", [FIRST_NUMBER, LAST_NUMBER], ids=["before", "after the numbers began again"])
def test_what_a_shell_left_is_found_whatever_its_number(leave: Callable[..., psutil.Process], number: int) -> None:
    """A suite of many processes sees the numbers begin again."""
    child = _child(number, now())
    process = leave("exec /bin/sleep 600", {**os.environ, **INHERITED})

    assert descendants_left([child], []) == [(process, child)]


def test_what_is_older_than_the_child_is_not_its_own(leave: Callable[..., psutil.Process]) -> None:
    """Whatever was there before is somebody else's affair."""
    process = leave("exec /bin/sleep 600", {**os.environ, **INHERITED})
    birth = birth_of(process.pid)
    assert birth is not None

    assert descendants_left([_child(FIRST_NUMBER, birth + 1.0)], []) == []


def test_what_a_fixtures_child_left_is_not_that_of_the_test(leave: Callable[..., psutil.Process]) -> None:
    """It is the latest's that had begun by then."""
    of_test = _child(LAST_NUMBER, now() - 1.0)
    of_fixture = _child(LAST_NUMBER - 1, now())
    process = leave("exec /bin/sleep 600", {**os.environ, **INHERITED})

    assert descendants_left([of_test], [of_fixture]) == []
    assert descendants_left([of_fixture], [of_test]) == [(process, of_fixture)]


def test_what_is_just_becoming_another_program_is_waited_for(
    leave: Callable[..., psutil.Process], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Between the two programs the system shows no environment; on a busy machine that may last."""
    monkeypatch.setattr(detached, "_BECOMING_S", 60.0)
    child = _child(FIRST_NUMBER, now())
    asked = tmp_path / "asked"
    words = " ".join(f"'{name}={value}'" for name, value in INHERITED.items())
    wait = f"until test -e {asked}; do /bin/sleep 0.01; done"
    process = leave(f"{wait}; exec /usr/bin/env {words} /bin/sleep 600", {})
    original = psutil.Process.environ

    def environ(one: psutil.Process) -> dict[str, str]:
        found = original(one)
        if one.pid == process.pid:
            asked.touch()  # it goes on only after somebody has looked in vain
        return found

    monkeypatch.setattr(psutil.Process, "environ", environ)

    assert descendants_left([child], []) == [(process, child)]


def test_a_number_that_a_forked_child_wrote_down_is_nobody_elses(leave: Callable[..., psutil.Process]) -> None:
    """Another process may have it by the time that somebody asks: who has it was born at another moment."""
    detached.prepare_for_forks()
    child = _child(FIRST_NUMBER, now())
    process = leave("exec /bin/sleep 600", {"PATH": os.environ["PATH"]})  # it inherited nothing of us
    birth = birth_of(process.pid)
    assert birth is not None
    shared = detached._GRANDCHILDREN[0]
    kept = shared[:]
    try:
        for written, found in ((birth - 5.0, []), (birth, [(process, child)])):
            detached._GRANDCHILD.pack_into(shared, 0, 1, 0.0)
            detached._GRANDCHILD.pack_into(shared, detached._GRANDCHILD.size, process.pid, written)

            assert descendants_left([child], []) == found
    finally:
        shared[:] = kept


NEIGHBOUR = """
import os, subprocess, sys
from ci_tools.pytest_plugin.leaks import detached
from ci_tools.pytest_plugin.leaks.births import now
from ci_tools.pytest_plugin.leaks.detached import Child, descendants_left

class Ended:
    pid = 2

began = now()
program = "print(1, flush=True); input()"
environ = {"PATH": os.environ["PATH"]}
neighbour = subprocess.Popen([sys.executable, "-c", program], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
neighbour.stdout.readline()  # it is its own program by now, and has its environment
detached._numbers = lambda: [neighbour.pid]  # others on this machine may be just becoming their programs
found = descendants_left([Child("process", Ended, (), began)], [])
neighbour.communicate(b"\\n", timeout=30)
print(found, "psutil" in sys.modules)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody but psutil can be asked")
def test_a_neighbour_is_told_from_a_descendant_without_a_library() -> None:
    """On a machine where others work, each test with a child would pay for loading it."""
    told = subprocess.run([sys.executable, "-c", NEIGHBOUR], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout == "[] False\n"


@pytest.mark.skipif(not Path("/proc/2/comm").is_file(), reason="nobody sees the kernel's threads here")
def test_a_thread_of_the_kernel_is_nobodys_child() -> None:
    """It has no environment, as a child has that is just becoming its program; nobody waits for it."""
    if Path("/proc/2/comm").read_text(encoding="utf-8") != "kthreadd\n":
        pytest.skip("the second process is not the kernel's")
    assert birth_of(2) is None
