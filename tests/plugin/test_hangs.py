"""Every test that hangs or ends its process is contained: all other results are there, the run is bounded and red."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from suites import CORPUS, SuiteRun, keys_of, run_suite, write_suite

from ci_tools.model.case import Outcome
from ci_tools.model.journal import ExitRequested, TestStarted, TimedOut, WorkerCrashed
from ci_tools.pytest_plugin.exits import ENDED_BY_GUARD
from ci_tools.pytest_plugin.journal import STACKS_SUFFIX

HANGS = {path.stem: path for path in sorted((CORPUS / "hangs").glob("*.py"))}
FAST = (
    "sleep",
    "await_for_ever",
    "gil_held",
    "gil_held_without_switch",
    "stopped_clocks",
    "os_exit_zero",
    "killed",
    "non_daemon_thread_at_exit",
)
"""What `nox -s tests` runs; the others are in `nox -s slow`."""
MODES = {"alone": (), "xdist": ("-n", "2")}
BY_FILE = ("sleep", "await_for_ever", "c_call_deaf_to_signals", "killed", "os_exit_zero", "non_daemon_thread_at_exit")
"""What runs with ``--dist loadfile`` too: one of each way to end, for pytest-xdist tries a test that kills nine times there."""
LONGEST_BY_FILE_S = 180.0
LONGEST_S = 120.0
"""Timeout, tear-down, graces and the 10 s of pytest-xdist at exit are 25 s on an idle machine; the hangs are of an hour."""
OFFENDER = "test_it.py::test_offender"
BEFORE, AFTER = "test_it.py::test_before", "test_it.py::test_after"


class Ended:
    """One corpus file and how its run ended."""

    def __init__(self, name: str, mode: str, run: SuiteRun) -> None:
        self.keys = keys_of(HANGS[name])
        self.name = name
        self.mode = mode
        self.run = run

    @property
    def ends_process(self) -> bool:
        """Whether the offender takes its process with it."""
        return self.keys["ends"] == "yes"


def _cases() -> list[object]:
    return [
        pytest.param((name, mode), id=f"{name} {mode}", marks=() if name in FAST else pytest.mark.slow)
        for name, mode in itertools.product(HANGS, MODES)
    ]


@pytest.fixture(name="ended", params=_cases())
def _ended(request: pytest.FixtureRequest, tmp_path: Path) -> Ended:
    name, mode = request.param
    write_suite(tmp_path, {"test_it.py": HANGS[name].read_text(encoding="utf-8")})
    return Ended(name, mode, run_suite(tmp_path, "-q", *MODES[mode], timeout_s=1.5 * LONGEST_S))


def test_a_hang_is_contained(ended: Ended) -> None:
    """A test that hangs or ends its process leaves all other results, a bounded red run, and its name with its stacks."""
    _assert_bounded_and_red(ended)
    _assert_neighbours(ended)
    _assert_offender(ended)
    _assert_stacks(ended)
    _assert_end_markers(ended)
    _assert_way_out(ended)


def _assert_bounded_and_red(ended: Ended) -> None:
    """The exit code is never green, the time is bounded, and no process is left."""
    run = ended.run
    assert run.returncode not in {0, 999}, run.output
    assert run.duration_s < LONGEST_S
    assert run.left_behind == ()


def _assert_neighbours(ended: Ended) -> None:
    """Every other test that the process could reach has its result in a journal."""
    reached = [BEFORE, AFTER] if not ended.ends_process or ended.mode == "xdist" else [BEFORE]
    outcomes = ended.run.outcomes
    assert {test_id: outcomes.get(test_id) for test_id in reached} == dict.fromkeys(reached, Outcome.PASSED), ended.run.output


def _assert_offender(ended: Ended) -> None:
    """The offender has its outcome, or at least its beginning where the process was killed or could not write any more."""
    run = ended.run
    started = [event.test_id for event in run.events if isinstance(event, TestStarted)]
    assert started.count(OFFENDER) == 1
    expected = ended.keys["outcome"]
    if expected == "none" or ended.keys.get("stacks") == "file":
        assert OFFENDER not in run.outcomes
    else:
        assert run.outcomes[OFFENDER] is Outcome(expected), run.output


def _assert_stacks(ended: Ended) -> None:
    """Whoever reads the journal sees the line that hangs, or the thread that keeps the interpreter from its end."""
    run = ended.run
    match ended.keys:
        case {"outcome": "timed_out", "stacks": "file"}:
            stacks = next((run.folder / "journal").glob(f"*{STACKS_SUFFIX}")).read_text(encoding="utf-8")
            assert "in test_offender" in stacks
        case {"outcome": "timed_out"}:
            first = next(event for event in run.events if isinstance(event, TimedOut))
            assert (first.test_id, "test_it.py" in first.stacks) == (OFFENDER, True), first.stacks
        case {"outcome": "crashed"}:
            event = next(event for event in run.events if isinstance(event, ExitRequested))
            assert (event.test_id, event.code) == (OFFENDER, 0)
        case {"ends": "exit", "named": named}:
            last = next(event for event in run.events if isinstance(event, TimedOut))
            assert (last.test_id, last.ended_worker, named in last.stacks) == ("", True, True)
        case _:
            assert ended.name == "killed"


def _assert_end_markers(ended: Ended) -> None:
    """A process that did not end by itself has no end marker as its last line."""
    run = ended.run
    ended_early = ended.ends_process or ended.keys["ends"] == "exit"
    assert len(run.journals) - run.end_markers == int(ended_early)


def _assert_way_out(ended: Ended) -> None:
    """Alone, a guard's exit is 70 and pytest's own failure is 1; under pytest-xdist the controller says 1 and what died."""
    run = ended.run
    codes = {"no": 1, "yes": ENDED_BY_GUARD, "exit": ENDED_BY_GUARD}
    special = {"killed": -9, "gil_held": 1, "gil_held_without_switch": 1}
    alone = special.get(ended.name, codes[ended.keys["ends"]])
    assert run.returncode == (1 if ended.mode == "xdist" else alone), run.output
    crashes = [event for event in run.events if isinstance(event, WorkerCrashed)]
    assert len(crashes) == int(ended.ends_process and ended.mode == "xdist")


@pytest.fixture(name="by_file", params=BY_FILE)
def _by_file(request: pytest.FixtureRequest, tmp_path: Path) -> Ended:
    files = {"test_it.py": HANGS[request.param].read_text(encoding="utf-8"), "test_other.py": "def test_other():\n    pass\n"}
    write_suite(tmp_path, files)
    run = run_suite(tmp_path, "-q", "-n", "2", "--dist", "loadfile", timeout_s=1.5 * LONGEST_BY_FILE_S)
    return Ended(request.param, "by file", run)


@pytest.mark.slow
def test_a_hang_by_file_is_contained(by_file: Ended) -> None:
    """Bounded, red, nobody left, other files whole; pytest-xdist 3.8 itself gives up what comes after a test that kills."""
    run = by_file.run
    assert run.returncode not in {0, 999}, run.output
    assert run.duration_s < LONGEST_BY_FILE_S
    assert run.left_behind == ()
    reached = ["test_other.py::test_other", BEFORE, *([] if by_file.ends_process else [AFTER])]
    assert {test_id: run.outcomes.get(test_id) for test_id in reached} == dict.fromkeys(reached, Outcome.PASSED), run.output
    expected = by_file.keys["outcome"]
    assert run.outcomes.get(OFFENDER, "none") == (expected if expected == "none" else Outcome(expected))


WITH_CHILDREN = """
import asyncio
import pathlib
import subprocess

import pytest

CHILDREN = []


def is_alive(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat")
    return stat.exists() and ") Z " not in stat.read_text()


@pytest.fixture(scope="session")
def server():
    with subprocess.Popen(["sleep", "3600"]) as process:
        yield process
        process.kill()


@pytest.mark.timeout(1)
@pytest.mark.asyncio
async def test_offender(server):
    child = await asyncio.create_subprocess_exec("sleep", "3600")
    CHILDREN.append(child.pid)
    await asyncio.Event().wait()


def test_after(server):
    assert (is_alive(CHILDREN[0]), is_alive(server.pid)) == (False, True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the suite reads /proc")
@pytest.mark.parametrize("leaks", ["", "leaks = { process = 'off' }"], ids=["looked for", "off"])
def test_children_of_a_hung_test_end_with_it(tmp_path: Path, leaks: str) -> None:
    """A test that is ended gently takes its children with it, also where leaks are not looked for; a fixture's live on."""
    write_suite(tmp_path, {"test_it.py": WITH_CHILDREN}, guards=leaks)
    run = run_suite(tmp_path, "-q")
    assert run.outcomes == {OFFENDER: Outcome.TIMED_OUT, AFTER: Outcome.PASSED}, run.output
    assert run.left_behind == ()


BY_FILE_RUN = """
[tool.ci-tools]
pytest-args = ["-n", "2", "--dist", "loadfile"]
"""


@pytest.mark.slow
def test_a_run_by_file_loses_nothing(tmp_path: Path) -> None:
    """What pytest-xdist 3.8 loses of a file whose worker died, the next worker of the run makes up for."""
    write_suite(tmp_path, {"test_it.py": HANGS["os_exit_zero"].read_text(encoding="utf-8")}, guards=BY_FILE_RUN)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CI_TOOLS_", "COV_"))}
    argv = [sys.executable, "-m", "ci_tools", "run"]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=200, check=False)
    report = json.loads(next(tmp_path.glob("ci-artifacts/*/report.json")).read_text(encoding="utf-8"))
    outcomes = {case["test_id"]: case["attempts"][-1]["outcome"] for case in report["cases"]}
    assert (done.returncode, outcomes) == (10, {BEFORE: "passed", OFFENDER: "crashed", AFTER: "passed"}), done.stdout
