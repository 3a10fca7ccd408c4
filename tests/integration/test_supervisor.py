"""The supervisor with real pytest processes that end in every way a process can."""

import os
import signal
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from ci_tools.model.case import Outcome
from ci_tools.model.guard import GuardMode, GuardPolicy
from ci_tools.model.journal import Event, SessionFinished, TestFinished, TestStarted, WorkerStarted, parse_journal
from ci_tools.model.report import EndedBy, ShardReport, WorkerExit
from ci_tools.model.shard import ShardRef, digest_of
from ci_tools.model.worker import FileOrder, WorkerOrder
from ci_tools.reports.journals import read_shard
from ci_tools.workers.command import WorkerCommand, command, order_name, paths_of
from ci_tools.workers.supervisor import supervise

P, C, T, L = Outcome.PASSED, Outcome.CRASHED, Outcome.TIMED_OUT, Outcome.LOST
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none of these signals, and no fork")
GUARD = GuardPolicy(timeout_s=30.0, grace_s=0.5, exit_s=2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one supervised run left behind."""

    exits: tuple[WorkerExit, ...]
    report: ShardReport
    events: tuple[Event, ...]
    seconds: float

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Outcome by the test's name."""
        return {case.test_id.rpartition("::")[2]: case.outcome for case in self.report.cases}

    def reason(self, name: str) -> str:
        """Why the test of this name came out as it did."""
        return next(case.attempts[-1].reason for case in self.report.cases if case.test_id.endswith(f"::{name}"))


class Suite:
    """A small suite on disk and its order."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        (self.root / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        self.artifacts = folder / "artifacts"
        self.files: list[FileOrder] = []

    def write(self, path: str, source: str, *names: str) -> None:
        """Put a test file down and order these tests of it."""
        (self.root / path).write_text(textwrap.dedent(source), encoding="utf-8")
        ids = tuple(f"{path}::{name}" for name in names)
        self.files.append(FileOrder(path=path, expected_digest=digest_of(ids), test_ids=ids))

    def order(self, guard: GuardPolicy = GUARD) -> WorkerOrder:
        """The order of everything written so far."""
        return WorkerOrder(run_id="r1", journal_dir=str(self.artifacts / "journals"), files=tuple(self.files), guard=guard)

    def command_for(self, *, processes: int = 1, pytest_args: Sequence[str] = ()) -> Callable[[WorkerOrder], WorkerCommand]:
        """The command of any generation."""

        def build(order: WorkerOrder) -> WorkerCommand:
            return command(
                str(self.artifacts / order_name(order)),
                python=sys.executable,
                paths=paths_of(order) or (),
                pytest_args=("-p", "no:cacheprovider", *pytest_args),
                processes=processes,
                tests=sum(len(file.test_ids) for file in order.files or ()),
                environ=os.environ,
            )

        return build

    def run(
        self,
        *,
        processes: int = 1,
        pytest_args: Sequence[str] = (),
        guard: GuardPolicy = GUARD,
        silence_s: float = 0.0,
        deadline_s: float = 90.0,
        collection_s: float = 60.0,
        on_event: Callable[[Event], None] = lambda _: None,
        is_interrupted: Callable[[], bool] = lambda: False,
        max_generations: int = 100,
    ) -> Run:
        """Supervise the suite."""
        events: list[Event] = []
        order = self.order(guard)

        def listen(event: Event) -> None:
            events.append(event)
            on_event(event)

        began = time.monotonic()
        exits = supervise(
            self.command_for(processes=processes, pytest_args=pytest_args),
            order,
            folder=self.artifacts,
            cwd=self.root,
            deadline_s=deadline_s,
            silence_s=silence_s,
            collection_s=collection_s,
            on_event=listen,
            is_interrupted=is_interrupted,
            max_generations=max_generations,
        )
        seconds = time.monotonic() - began
        expected = [test_id for file in self.files for test_id in file.test_ids]
        report = read_shard(
            Path(order.journal_dir), run_id="r1", shard=ShardRef(index=1, count=1), expected=expected, exits=exits
        )
        return Run(exits=exits, report=report, events=tuple(events), seconds=seconds)


@pytest.fixture
def suite(tmp_path: Path) -> Iterator[Suite]:
    """An empty suite; afterwards nothing may be left that it started."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield Suite(tmp_path)
    left = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
    # What was killed a moment ago may still be a zombie whose last thread is going.
    _, alive = psutil.wait_procs(left, timeout=2)
    assert alive == []


THREE = """
    import os, signal, time

    def test_a():
        pass

    def test_b():
        {body}

    def test_c():
        pass
"""
NAMES = ("test_a", "test_b", "test_c")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_whole_session_needs_one_worker(suite: Suite, processes: int) -> None:
    """Tests that all pass are run by one generation that ends by itself with its end marker."""
    suite.write("test_x.py", THREE.format(body="pass"), *NAMES)
    run = suite.run(processes=processes)
    assert run.outcomes == {"test_a": P, "test_b": P, "test_c": P}
    assert [(exit_.ended_by, exit_.returncode, exit_.finished_session) for exit_ in run.exits] == [(EndedBy.ITSELF, 0, True)]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(
    "body",
    [
        "os._exit(0)",
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", marks=posix),
        "signal.raise_signal(signal.SIGSEGV)",
    ],
)
def test_a_test_that_ends_its_process_costs_one_result(suite: Suite, processes: int, body: str) -> None:
    """A test that takes its process with it is crashed, and every other test passes."""
    suite.write("test_x.py", THREE.format(body=body), *NAMES)
    run = suite.run(processes=processes)
    assert run.outcomes == {"test_a": P, "test_b": C, "test_c": P}


@posix
def test_a_signal_is_named(suite: Suite) -> None:
    """The charge says which signal ended the worker."""
    suite.write("test_x.py", THREE.format(body="os.kill(os.getpid(), signal.SIGKILL)"), *NAMES)
    run = suite.run()
    assert "SIGKILL (9)" in run.reason("test_b")
    assert [exit_.ended_by for exit_ in run.exits] == [EndedBy.SIGNAL, EndedBy.ITSELF]


def test_every_test_crashes(suite: Suite) -> None:
    """Each generation charges one test, so a suite of crashing tests comes to its end."""
    suite.write(
        "test_x.py", "import os\ndef test_a(): os._exit(0)\ndef test_b(): os._exit(1)\ndef test_c(): os.abort()\n", *NAMES
    )
    run = suite.run()
    assert run.outcomes == {"test_a": C, "test_b": C, "test_c": C}
    assert len(run.exits) == 3


def test_the_number_of_generations_is_bounded(suite: Suite) -> None:
    """With two generations allowed, the third crashing test is lost and the last exit says so."""
    suite.write(
        "test_x.py", "import os\ndef test_a(): os._exit(0)\ndef test_b(): os._exit(1)\ndef test_c(): os.abort()\n", *NAMES
    )
    run = suite.run(max_generations=2)
    assert run.outcomes == {"test_a": C, "test_b": C, "test_c": L}
    assert "no more are" in run.exits[-1].message


@pytest.mark.parametrize("processes", [1, 2])
def test_a_test_that_sleeps_for_ever_times_out(suite: Suite, processes: int) -> None:
    """The plugin's own deadline ends the test; all others pass."""
    suite.write("test_x.py", THREE.format(body="time.sleep(3600)"), *NAMES)
    run = suite.run(processes=processes, guard=replace(GUARD, timeout_s=1.0))
    assert run.outcomes == {"test_a": P, "test_b": T, "test_c": P}


STOPPED = "os.kill(os.getpid(), signal.SIGSTOP)"
"""A stopped process runs none of its threads: no deadline of its own can help."""


@posix
@pytest.mark.parametrize("processes", [1, 2])
def test_a_silent_worker_is_ended(suite: Suite, processes: int) -> None:
    """A worker that can't even watch itself is ended from outside after its silence; the test in flight timed out."""
    suite.write("test_x.py", THREE.format(body=STOPPED), *NAMES)
    run = suite.run(processes=processes, silence_s=2.0)
    assert run.outcomes == {"test_a": P, "test_b": T, "test_c": P}
    assert "said nothing" in run.reason("test_b")


@posix
def test_a_stopped_worker_is_ended_before_a_silent_one(suite: Suite) -> None:
    """Where nobody says how long silence may last, a process that the system shows as stopped gets its timeouts, no more."""
    suite.write("test_x.py", THREE.format(body=STOPPED), *NAMES)
    run = suite.run(guard=replace(GUARD, timeout_s=0.5, grace_s=0.1, teardown_s=0.5))
    assert run.outcomes == {"test_a": P, "test_b": T, "test_c": P}


def test_a_test_with_a_longer_timeout_of_its_own_is_left_alone(suite: Suite) -> None:
    """A mark that gives one test more time than all others keeps the supervisor from ending it as silent."""
    body = """
    import pytest, threading

    @pytest.mark.timeout(60)
    def test_long():
        threading.Event().wait(4)
    """
    suite.write("test_x.py", textwrap.dedent(body), "test_long")
    run = suite.run(guard=replace(GUARD, timeout_s=0.5, grace_s=0.1, teardown_s=0.5))
    assert run.outcomes == {"test_long": P}


@posix
def test_a_silent_worker_shows_its_stack(suite: Suite) -> None:
    """The charge of a test that hangs without any deadline of its own holds the stack of its process."""
    suite.write("test_x.py", THREE.format(body="time.sleep(3600)"), *NAMES)
    run = suite.run(guard=replace(GUARD, timeout_s=0.0), silence_s=2.0)
    assert run.outcomes == {"test_a": P, "test_b": T, "test_c": P}
    stacks = next(case.attempts[0].stacks for case in run.report.cases if case.test_id.endswith("test_b"))
    assert "in test_b" in stacks


@posix
def test_a_worker_killed_from_outside(suite: Suite) -> None:
    """Killed with -9 from outside while a test runs: that test is crashed, the rest runs in the next generation."""
    suite.write(
        "test_x.py", THREE.format(body="flag = not os.path.exists('seen'); open('seen', 'w'); flag and time.sleep(3600)"), *NAMES
    )
    pids: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, WorkerStarted):
            pids.append(event.pid)
        if isinstance(event, TestStarted) and event.test_id.endswith("test_b") and len(pids) == 1:
            os.kill(pids[0], signal.SIGKILL)

    run = suite.run(on_event=kill)
    assert run.outcomes == {"test_a": P, "test_b": C, "test_c": P}


@posix
def test_a_whole_pytest_xdist_group_killed_from_outside(suite: Suite) -> None:
    """The controller killed with -9: its workers go too, what they had in flight is crashed, the rest runs."""
    suite.write(
        "test_x.py", THREE.format(body="flag = not os.path.exists('seen'); open('seen', 'w'); flag and time.sleep(3600)"), *NAMES
    )
    controllers: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, WorkerStarted) and event.role == "controller":
            controllers.append(event.pid)
        if isinstance(event, TestStarted) and event.test_id.endswith("test_b") and len(controllers) == 1:
            os.kill(controllers[0], signal.SIGKILL)

    run = suite.run(processes=2, on_event=kill)
    assert P == run.outcomes["test_a"] == run.outcomes["test_c"]
    assert run.outcomes["test_b"] == C


def test_a_hang_at_exit_is_bounded_and_said(suite: Suite) -> None:
    """A process that does not end after its session is ended after ``exit_s``; the outcomes stand."""
    body = "import atexit; atexit.register(time.sleep, 3600)"
    suite.write("test_x.py", THREE.format(body=body), *NAMES)
    run = suite.run(guard=replace(GUARD, exit_s=1.0))
    assert run.outcomes == {"test_a": P, "test_b": P, "test_c": P}
    assert len(run.exits) == 1
    assert run.seconds < 25


FORK = """
    import os, time

    def test_forks():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(3600)
            os._exit(0)
        os.wait()
"""


@posix
def test_a_daemon_left_by_a_test_is_ended_and_named(suite: Suite) -> None:
    """Also where nobody looks for leaks: a child that forked twice does not outlive the worker; the exit names it."""
    suite.write("test_x.py", FORK, "test_forks")
    run = suite.run(guard=replace(GUARD, leaks={**GUARD.leaks, "process": GuardMode.OFF}))
    assert run.outcomes == {"test_forks": P}
    assert "left behind" in run.exits[0].message


def test_a_worker_that_cannot_start_is_said(suite: Suite) -> None:
    """A Python without pytest: no restart, all tests lost, its last words kept."""
    suite.write("test_x.py", THREE.format(body="pass"), *NAMES)
    order = suite.order()
    exits = supervise(
        lambda order: replace(suite.command_for()(order), argv=(sys.executable, "-S", "-m", "pytest")),
        order,
        folder=suite.artifacts,
        cwd=suite.root,
        deadline_s=60,
    )
    assert [(exit_.returncode, exit_.finished_session) for exit_ in exits] == [(1, False)]
    assert "No module named pytest" in exits[0].output_tail
    assert "before it finished any test" in exits[0].message


def test_a_program_that_is_not_there_is_an_error(suite: Suite) -> None:
    """A worker whose program does not exist raises FileNotFoundError."""
    order = suite.order()
    with pytest.raises(FileNotFoundError):
        supervise(lambda _: WorkerCommand(argv=("/no/such/python",)), order, folder=suite.artifacts, cwd=suite.root)


def test_an_order_without_tests_is_run_once(suite: Suite) -> None:
    """Zero tests: one generation, and pytest says 5 (nothing collected)."""
    (suite.root / "test_none.py").write_text("", encoding="utf-8")
    suite.files.append(FileOrder(path="test_none.py", expected_digest=digest_of(()), test_ids=()))
    run = suite.run()
    assert [exit_.returncode for exit_ in run.exits] == [5]


def test_a_broken_file_is_collected_once(suite: Suite) -> None:
    """A file that cannot be imported keeps nothing else from running and is not tried again."""
    suite.write("test_x.py", THREE.format(body="pass"), *NAMES)
    suite.write("test_broken.py", "import no_such_module", "test_never")
    run = suite.run()
    assert run.outcomes == {"test_a": P, "test_b": P, "test_c": P, "test_never": L}
    assert [error.path for error in run.report.collection_errors] == ["test_broken.py"]
    assert len(run.exits) == 1


def test_a_hang_at_import_is_bounded(suite: Suite) -> None:
    """A file that waits for ever when it is imported ends its worker after ``collection_s``, with the stack that shows where."""
    suite.write("test_x.py", "import time\ntime.sleep(3600)\ndef test_a(): pass\n", "test_a")
    run = suite.run(collection_s=3.0)
    assert run.outcomes == {"test_a": L}
    assert [exit_.ended_by for exit_ in run.exits] == [EndedBy.SILENCE]
    assert "test_x.py" in run.exits[0].message


def test_stopping_early_is_respected(suite: Suite) -> None:
    """With -x the tests after the first failure are not run by another generation."""
    suite.write("test_x.py", THREE.format(body="assert False"), *NAMES)
    run = suite.run(pytest_args=("-x",))
    assert run.outcomes == {"test_a": P, "test_b": Outcome.FAILED, "test_c": L}
    assert len(run.exits) == 1


@posix
def test_a_crash_stops_early_too(suite: Suite) -> None:
    """With -x a test that takes its process with it is the first failure: no other generation starts."""
    suite.write("test_x.py", THREE.format(body="os.kill(os.getpid(), signal.SIGKILL)"), *NAMES)
    run = suite.run(pytest_args=("-x",))
    assert run.outcomes == {"test_a": P, "test_b": C, "test_c": L}
    assert len(run.exits) == 1


@posix
def test_an_interrupt_ends_everything_in_three_seconds(suite: Suite) -> None:
    """Interrupted in a test that ignores SIGINT: over within 3 s, nothing charged, the exit says why."""
    suite.write("test_x.py", THREE.format(body="signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(3600)"), *NAMES)
    interrupted = threading.Event()
    at: list[float] = []

    def interrupt(event: Event) -> None:
        if isinstance(event, TestStarted) and event.test_id.endswith("test_b"):
            interrupted.set()
            at.append(time.monotonic())

    run = suite.run(on_event=interrupt, is_interrupted=interrupted.is_set)
    assert time.monotonic() - at[0] < 3.5
    assert [exit_.ended_by for exit_ in run.exits] == [EndedBy.INTERRUPT]
    assert run.outcomes == {"test_a": P, "test_b": L, "test_c": L}
    assert "the run was interrupted" in run.reason("test_b")


def test_the_deadline_of_the_run_ends_it(suite: Suite) -> None:
    """When the time of the run is over, what has not run is lost and the exit says why."""
    suite.write("test_x.py", THREE.format(body="time.sleep(3600)"), *NAMES)
    run = suite.run(deadline_s=4.0)
    assert [exit_.ended_by for exit_ in run.exits] == [EndedBy.RUN_DEADLINE]
    assert run.outcomes == {"test_a": P, "test_b": L, "test_c": L}
    assert run.seconds < 10


DISTRIBUTIONS = {
    "alone": (),
    "load": ("-n", "2", "--dist", "load"),
    "worksteal": ("-n", "2", "--dist", "worksteal"),
    "loadfile": ("-n", "2", "--dist", "loadfile"),
    "loadscope": ("-n", "2", "--dist", "loadscope"),
    "loadgroup": ("-n", "2", "--dist", "loadgroup"),
    "one-loadfile": ("-n", "1", "--dist", "loadfile"),
}
KILLERS = {"exit": "os._exit(1)", "signal": "os.kill(os.getpid(), signal.SIGSEGV)"}


@posix
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("killer", KILLERS)
def test_a_killing_test_runs_once_however_tests_are_distributed(suite: Suite, distribution: str, killer: str) -> None:
    """Each of two killing tests takes one worker along and is not run again; every other test passes, once."""
    for letter in "xyz":
        body = "pass" if letter == "y" else KILLERS[killer]
        suite.write(f"test_{letter}.py", THREE.format(body=body), *NAMES)
    run = suite.run(pytest_args=DISTRIBUTIONS[distribution])
    killed = {"test_x.py::test_b", "test_z.py::test_b"}
    every = {f"test_{letter}.py::{name}" for letter in "xyz" for name in NAMES}
    started = Counter(event.test_id for event in run.events if isinstance(event, TestStarted))
    assert started == Counter(every)
    assert {case.test_id: case.outcome for case in run.report.cases} == {name: C if name in killed else P for name in every}
    assert len(run.exits) == (3 if distribution == "alone" else 1)


@posix
def test_charges_are_journal_events(suite: Suite) -> None:
    """The supervisor's journal alone holds the charge, between a start and an end marker."""
    suite.write("test_x.py", THREE.format(body="os.kill(os.getpid(), signal.SIGKILL)"), *NAMES)
    run = suite.run()
    (journal,) = (suite.artifacts / "journals").glob("journal-1-of-1-supervisor-*.jsonl")
    events = list(parse_journal(journal.read_text("utf-8")))
    assert events[0].role == "supervisor" if isinstance(events[0], WorkerStarted) else False
    assert [event.outcome for event in events if isinstance(event, TestFinished)] == [C]
    assert isinstance(events[-1], SessionFinished)
    assert [event for event in run.events if isinstance(event, TestFinished)][1] in events
