"""Every level of time has its limit: phase, file, collection; slow is only said; and the scene of a hang is shown."""

from pathlib import Path

import pytest
from suites import SuiteRun, run_suite, write_suite

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import CollectionFailed, PhaseFinished, TestFinished, TimedOut
from ci_tools.pytest_plugin.exits import ENDED_BY_GUARD

PHASES = """
import time

import pytest


@pytest.fixture
def slow_up():
    time.sleep({setup})


@pytest.fixture
def slow_down():
    yield
    time.sleep({teardown})


def test_it(slow_up, slow_down):
    time.sleep({call})


def test_after():
    pass
"""
TEST, AFTER = "test_it.py::test_it", "test_it.py::test_after"


def _timed_out(run: SuiteRun) -> list[TimedOut]:
    return [event for event in run.events if isinstance(event, TimedOut)]


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_each_phase_has_a_budget_of_its_own(tmp_path: Path, phase: str) -> None:
    """A phase that takes longer than its own time is timed out in that phase, though the test has a minute; the next passes."""
    seconds = dict.fromkeys(("setup", "call", "teardown"), 0) | {phase: 3600}
    write_suite(tmp_path, {"test_it.py": PHASES.format(**seconds)}, guards=f"phases = {{ {phase} = 1 }}")
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {TEST: Outcome.TIMED_OUT, AFTER: Outcome.PASSED}, run.output
    assert [(event.phase, event.timeout_s) for event in _timed_out(run)] == [(Phase(phase), 1.0)]
    assert f"the test's {phase} had 1 s" in run.output


def test_a_phase_within_its_budget_leaves_the_tests_own(tmp_path: Path) -> None:
    """Set-up in time, then a call over the test's own time: the test's deadline still counts."""
    suite = PHASES.format(setup=0.1, call=3600, teardown=0)
    write_suite(tmp_path, {"test_it.py": suite}, guards="timeout = 2\nphases = { setup = 20 }")
    run = run_suite(tmp_path, "-q")
    assert (run.outcomes[TEST], [event.timeout_s for event in _timed_out(run)]) == (Outcome.TIMED_OUT, [2.0]), run.output


def test_all_phases_together_have_the_tests_budget(tmp_path: Path) -> None:
    """Set-up, call and tear-down that fit each into a second and together do not, are timed out together."""
    suite = PHASES.format(setup=1.5, call=1.5, teardown=3600)
    write_suite(tmp_path, {"test_it.py": suite}, guards="timeout = 4\nteardown = 1")
    run = run_suite(tmp_path, "-q")
    assert (run.outcomes[TEST], _timed_out(run)[0].phase) == (Outcome.TIMED_OUT, Phase.TEARDOWN), run.output


FILE = "import time\n\n\ndef test_quick(): ...\n\n\ndef test_hangs():\n    time.sleep(3600)\n\n\ndef test_late():\n    pass\n"


def test_a_file_has_a_budget(tmp_path: Path) -> None:
    """When the file's time is over the test that runs is timed out, later ones of the file fail at once, other files go on."""
    write_suite(tmp_path, {"test_a.py": FILE, "test_b.py": "def test_other():\n    pass\n"}, guards="file = 2")
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {
        "test_a.py::test_quick": Outcome.PASSED,
        "test_a.py::test_hangs": Outcome.TIMED_OUT,
        "test_a.py::test_late": Outcome.TIMED_OUT,
        "test_b.py::test_other": Outcome.PASSED,
    }, run.output
    assert "the file test_a.py had 2 s" in run.output


def test_a_file_that_hangs_while_it_is_collected(tmp_path: Path) -> None:
    """It is a file that could not be collected, named with the line that hangs; every other file runs."""
    files = {"test_a.py": "import time\n\ntime.sleep(3600)\n", "test_b.py": "def test_other():\n    pass\n"}
    write_suite(tmp_path, files, guards="collection = 1")
    run = run_suite(tmp_path, "-q", "--continue-on-collection-errors")
    assert (run.returncode, run.outcomes) == (1, {"test_b.py::test_other": Outcome.PASSED}), run.output
    (broken,) = (event for event in run.events if isinstance(event, CollectionFailed))
    assert (broken.path, "had 1 s, and time ran out in collection of test_a.py" in broken.failure.message) == ("test_a.py", True)
    (event,) = _timed_out(run)
    assert (event.phase, "time.sleep(3600)" in event.stacks) == (Phase.COLLECT, True)


def test_a_file_that_hangs_in_c_while_it_is_collected(tmp_path: Path) -> None:
    """What cannot be interrupted ends the process, after it has said which file it was."""
    deaf = "import signal, time\n\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])\ntime.sleep(3600)\n"
    write_suite(tmp_path, {"test_a.py": deaf, "test_b.py": "def test_other():\n    pass\n"}, guards="collection = 1")
    run = run_suite(tmp_path, "-q")
    (broken,) = (event for event in run.events if isinstance(event, CollectionFailed))
    assert (run.returncode, broken.path) == (ENDED_BY_GUARD, "test_a.py"), run.output
    assert "collection of test_a.py" in run.output


def test_a_slow_test_is_said_and_passes(tmp_path: Path) -> None:
    """A test over guards.slow passes, has its seconds among its properties, and is named at the end."""
    suite = "import time\n\n\ndef test_it():\n    time.sleep(0.7)\n\n\ndef test_quick():\n    pass\n"
    write_suite(tmp_path, {"test_it.py": suite}, guards="slow = 0.6")
    for arguments in ((), ("-n", "2")):
        run = run_suite(tmp_path, "-q", *arguments)
        said = run.output.partition("slow tests")[2]
        assert (run.returncode, TEST in said, "test_quick" in said) == (0, True, False), run.output
        slow = {event.test_id: "slow" in event.properties for event in run.events if isinstance(event, TestFinished)}
        assert slow == {TEST: True, "test_it.py::test_quick": False}


SCENE = """
import asyncio
import subprocess
import sys
import threading

import pytest

held = threading.RLock()


@pytest.fixture
def stuck():
    yield
    print("tearing down now")
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", "a-child-of-the-test"])
    taken = threading.Event()

    def hold():
        with held:
            taken.set()
            threading.Event().wait()

    threading.Thread(target=hold, name="holder", daemon=True).start()
    taken.wait()
    with held:
        pass


def test_it(stuck):
    pass
"""
TASKS = """
import asyncio

import pytest


async def serve(lock):
    async with lock:
        pass


async def client(lock):
    await asyncio.gather(serve(lock))


async def main():
    lock = asyncio.Lock()
    await lock.acquire()
    task = asyncio.create_task(client(lock), name="the client")
    await task


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_it(kind):
    if kind == "uvloop":
        pytest.importorskip("uvloop").run(main())
    else:
        asyncio.run(main())
"""


def test_the_scene_of_a_hang(tmp_path: Path) -> None:
    """The fixture that is torn down, the lock with its holder, the child, the last output: in the journal and on the terminal."""
    write_suite(tmp_path, {"test_it.py": SCENE}, guards="timeout = 2\nteardown = 1")
    run = run_suite(tmp_path, "-q")
    (event, *_) = _timed_out(run)
    said = (
        "fixture 'stuck' (scope function)",
        "is being torn down",
        "thread holder",
        "waits for held (<locked _thread.RLock",
        "held by holder",
        "a-child-of-the-test",
        "last output on stdout\ntearing down now",
        "with held:",
    )
    assert [one for one in said if one not in event.stacks] == [], event.stacks
    assert run.left_behind == ()


def test_the_tasks_of_a_hang(tmp_path: Path) -> None:
    """Each task with its await chain and what it waits for, on asyncio and on uvloop."""
    write_suite(tmp_path, {"test_it.py": TASKS}, guards="timeout = 1")
    run = run_suite(tmp_path, "-q")
    assert set(run.outcomes.values()) == {Outcome.TIMED_OUT}, run.output
    assert len(run.outcomes) == 2
    for event in _timed_out(run):
        for one in ("task the client, waits for", "in client (", "in serve (", "waits for <asyncio.locks.Lock", "in main ("):
            assert one in event.stacks, event.stacks


def test_a_timeout_is_this_tests_failure_in_junit(tmp_path: Path) -> None:
    """The failure of the phase says that time ran out and where."""
    write_suite(tmp_path, {"test_it.py": PHASES.format(setup=0, call=3600, teardown=0)}, guards="timeout = 1")
    run = run_suite(tmp_path, "-q", "--junitxml", str(tmp_path / "junit.xml"))
    text = (tmp_path / "junit.xml").read_text(encoding="utf-8")
    assert "timed out: the test had 1 s, and time ran out in call of test_it.py::test_it" in text
    failed = [event for event in run.events if isinstance(event, PhaseFinished) and event.failure is not None]
    assert [(event.test_id, event.phase) for event in failed] == [(TEST, Phase.CALL)]
