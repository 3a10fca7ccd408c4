"""Journals of one shard, written as workers write them, folded into a report."""

from dataclasses import replace
from pathlib import Path

from report_sample import RUN, end, execution, exit_of, failure, start, write_journal

from ci_tools.model.case import Failure, Leak, Outcome, Phase
from ci_tools.model.journal import (
    CollectionFailed,
    ExitRequested,
    LeakFound,
    PhaseFinished,
    SelectionRefused,
    TestFinished,
    TestsCollected,
    TestStarted,
    TimedOut,
    WorkerCrashed,
)
from ci_tools.model.report import EndedBy, ShardReport
from ci_tools.model.shard import ShardRef
from ci_tools.reports.journals import read_shard

ONE = "tests/test_a.py::test_one"
TWO = "tests/test_a.py::test_two"
WHOLE = ShardRef(index=1, count=1)


def read(folder: Path, *expected: str, **fields: object) -> ShardReport:
    """The whole suite's report; no expected test IDs means: what was collected."""
    return read_shard(folder, run_id=RUN, shard=WHOLE, expected=expected or None, **fields)  # type: ignore[arg-type] # passed on


def outcomes(report: ShardReport) -> dict[str, list[str]]:
    """Test ID → the outcome of each attempt."""
    return {case.test_id: [attempt.outcome.value for attempt in case.attempts] for case in report.cases}


def test_a_finished_test_has_one_attempt_with_its_times(tmp_path: Path) -> None:
    """A test with start, phases and end becomes a case with one attempt and the times of its phases."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED), end()])
    (case,) = read(tmp_path, ONE).cases
    attempt = case.attempts[0]
    assert (
        attempt.outcome,
        attempt.duration_s,
        attempt.call_s,
        attempt.worker,
        attempt.started_at,
    ) == (Outcome.PASSED, 0.75, 0.5, "w0", 101.0)


def test_an_expected_test_that_never_started_is_lost(tmp_path: Path) -> None:
    """A planned test that no journal speaks of is a lost case of the shard."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED), end()])
    assert outcomes(read(tmp_path, ONE, TWO)) == {ONE: ["passed"], TWO: ["lost"]}


def test_without_a_plan_the_collected_tests_are_expected(tmp_path: Path) -> None:
    """What a worker collected and did not run is lost, also without a plan."""
    collected = TestsCollected(at=100.5, count=2, digest="", test_ids=(ONE, TWO))
    write_journal(tmp_path, "1-of-1-w0-7", [start(), collected, *execution(ONE, Outcome.PASSED), end()])
    assert outcomes(read(tmp_path)) == {ONE: ["passed"], TWO: ["lost"]}


def test_no_journal_at_all_loses_everything(tmp_path: Path) -> None:
    """An empty folder gives a report in which every expected test is lost."""
    assert outcomes(read(tmp_path, ONE)) == {ONE: ["lost"]}


def test_a_started_test_of_a_vanished_worker_is_crashed(tmp_path: Path) -> None:
    """A test without an end in a journal without an end marker took its worker along."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), TestStarted(at=101.0, test_id=ONE)])
    report = read(tmp_path, ONE)
    assert outcomes(report) == {ONE: ["crashed"]}
    assert [(exit_.finished_session, exit_.ended_by) for exit_ in report.exits] == [(False, EndedBy.SIGNAL)]


def test_a_started_test_of_an_ended_session_is_lost(tmp_path: Path) -> None:
    """A test that was abandoned while the session ended in order has no result, and says with which status."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), TestStarted(at=101.0, test_id=ONE), end(status=2)])
    report = read(tmp_path, ONE)
    assert outcomes(report) == {ONE: ["lost"]}
    assert report.cases[0].attempts[0].reason == "started, not finished: the session ended with status 2"


def test_the_supervisors_charge_closes_the_open_execution(tmp_path: Path) -> None:
    """A charge in the supervisor's journal is the end of the attempt that its worker left open, not a second attempt."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), TestStarted(at=101.0, test_id=ONE)])
    why = Failure(phase=Phase.CALL, type_name="WorkerCrashed", message="worker w0 ended with signal 9")
    charge = [
        PhaseFinished(at=105.0, test_id=ONE, phase=Phase.CALL, result="failed", duration_s=0.0, failure=why),
        TestFinished(at=105.0, test_id=ONE, outcome=Outcome.CRASHED, duration_s=4.0, reason="signal 9"),
    ]
    write_journal(tmp_path, "1-of-1-supervisor-1", [start("supervisor", role="supervisor"), *charge, end()])
    report = read(tmp_path, ONE, exits=(exit_of(returncode=-9, ended_by=EndedBy.SIGNAL, finished=False),))
    (attempt,) = report.cases[0].attempts
    assert (Outcome.CRASHED, 101.0, "w0", (why,)) == (attempt.outcome, attempt.started_at, attempt.worker, attempt.failures)
    assert len(report.exits) == 1


def test_a_charge_without_any_execution_is_an_attempt(tmp_path: Path) -> None:
    """What the supervisor says about a test counts even when the worker's own line never reached the disk."""
    charge = TestFinished(at=105.0, test_id=ONE, outcome=Outcome.CRASHED, duration_s=4.0, reason="signal 9")
    write_journal(tmp_path, "1-of-1-supervisor-1", [start("supervisor", role="supervisor"), charge, end()])
    assert outcomes(read(tmp_path, ONE)) == {ONE: ["crashed"]}


def test_executions_are_attempts_in_order_of_time(tmp_path: Path) -> None:
    """A rerun in the same worker and one in the next generation are attempts 1, 2 and 3; the last decides."""
    first = [*execution(ONE, Outcome.FAILED, 101.0, failure=failure()), *execution(ONE, Outcome.FAILED, 103.0, number=2)]
    write_journal(tmp_path, "1-of-1-w0-7", [start(), *first, end()])
    write_journal(tmp_path, "1-of-1-w0-8", [start(generation=2), *execution(ONE, Outcome.PASSED, 120.0), end(130.0)])
    (case,) = read(tmp_path, ONE).cases
    assert ([attempt.number for attempt in case.attempts], case.is_flaky) == ([1, 2, 3], True)


def test_a_timed_out_test_keeps_its_stacks(tmp_path: Path) -> None:
    """The stacks that the watchdog saw stand in the attempt, also when the worker died before it could say more."""
    seen = TimedOut(at=131.0, test_id=ONE, phase=Phase.CALL, timeout_s=30.0, stacks="File test_a.py, line 3", ended_worker=True)
    write_journal(tmp_path, "1-of-1-w0-7", [start(), TestStarted(at=101.0, test_id=ONE), seen])
    (attempt,) = read(tmp_path, ONE).cases[0].attempts
    assert (attempt.outcome, attempt.stacks) == (Outcome.TIMED_OUT, "File test_a.py, line 3")


def test_a_requested_exit_names_its_code_and_stack(tmp_path: Path) -> None:
    """A test whose code called os._exit is crashed, with the code and the stack of that call."""
    asked = ExitRequested(at=102.0, test_id=ONE, code=0, stacks="File test_a.py, line 9, in test_one")
    write_journal(tmp_path, "1-of-1-w0-7", [start(), TestStarted(at=101.0, test_id=ONE), asked])
    (attempt,) = read(tmp_path, ONE).cases[0].attempts
    assert (attempt.outcome, attempt.reason) == (Outcome.CRASHED, "the code under test ended the process with os._exit(0)")
    assert "line 9" in attempt.stacks


def test_xdists_word_on_a_crash_is_the_reason(tmp_path: Path) -> None:
    """What pytest-xdist's controller saw is the reason of the crashed attempt."""
    write_journal(tmp_path, "1-of-1-gw0-7", [start("gw0"), TestStarted(at=101.0, test_id=ONE)])
    crash = WorkerCrashed(at=103.0, worker="gw0", test_id=ONE, message="Not properly terminated")
    write_journal(tmp_path, "1-of-1-main-6", [start("main", role="controller"), crash, end()])
    (attempt,) = read(tmp_path, ONE).cases[0].attempts
    assert (attempt.outcome, attempt.reason) == (Outcome.CRASHED, "Not properly terminated")


def test_leaks_belong_to_their_test_even_after_its_end(tmp_path: Path) -> None:
    """A leak that is found after the test's last line is still that test's leak."""
    leak = Leak(kind="task", what="Task-3")
    write_journal(
        tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED), LeakFound(at=103.0, test_id=ONE, leak=leak), end()]
    )
    (case,) = read(tmp_path, ONE).cases
    assert [(leak,)] == [attempt.leaks for attempt in case.attempts]


def test_a_cut_last_line_is_no_fault(tmp_path: Path) -> None:
    """The half line of a killed writer is left out and the report is whole."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED)], tail='{"event":"TestSta')
    report = read(tmp_path, ONE)
    assert (report.corrupt, outcomes(report)) == ((), {ONE: ["passed"]})


def test_a_bad_line_elsewhere_makes_the_shard_corrupt(tmp_path: Path) -> None:
    """What stands around a line that cannot be read is kept, and the line's number is named."""
    path = write_journal(tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED), end()])
    lines = path.read_text().splitlines()
    lines.insert(2, '{"event":"TestFin')
    path.write_text("\n".join(lines) + "\n")
    report = read(tmp_path, ONE)
    assert outcomes(report) == {ONE: ["passed"]}
    assert [reason.partition(": ")[0] for reason in report.corrupt] == [
        "journal-1-of-1-w0-7.jsonl:3 holds a line that is not JSON"
    ]


def test_a_journal_without_its_first_line_is_corrupt(tmp_path: Path) -> None:
    """Nobody knows which run a journal is of that does not begin with the start of a worker."""
    write_journal(tmp_path, "1-of-1-w0-7", [*execution(ONE, Outcome.PASSED), end()])
    assert len(read(tmp_path, ONE).corrupt) == 1


def test_a_newer_journal_is_corrupt(tmp_path: Path) -> None:
    """A journal of a version that this tool does not know is not taken for whole."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(version=99), *execution(ONE, Outcome.PASSED), end()])
    assert "has version 99" in read(tmp_path, ONE).corrupt[0]


def test_a_journal_of_another_run_proves_nothing(tmp_path: Path) -> None:
    """An old journal in the folder gives no result, and its run is named."""
    old = replace(start(), run_id="run-0")
    write_journal(tmp_path, "1-of-1-w0-7", [old, *execution(ONE, Outcome.PASSED), end()])
    report = read(tmp_path, ONE)
    assert outcomes(report) == {ONE: ["lost"]}
    assert "is of run 'run-0', expected 'run-1'" in report.corrupt[0]


def test_journals_of_other_shards_and_attempts_are_left_out(tmp_path: Path) -> None:
    """A folder may hold several shards: each report takes its own journals."""
    write_journal(tmp_path, "2-of-2-w0-7", [start(shard="2/2"), *execution(TWO, Outcome.PASSED), end()])
    write_journal(tmp_path, "1-of-1-w0-8", [start(run_attempt=2), *execution(TWO, Outcome.PASSED), end()])
    write_journal(tmp_path, "1-of-1-w0-9", [start(), *execution(ONE, Outcome.PASSED), end()])
    assert outcomes(read(tmp_path, ONE)) == {ONE: ["passed"]}


def test_a_broken_file_is_one_error_however_many_workers_saw_it(tmp_path: Path) -> None:
    """Every pytest-xdist worker collects for itself; the file is broken once."""
    broken = CollectionFailed(at=100.5, path="tests/test_b.py", failure=failure("No module named 'nope'", "ModuleNotFoundError"))
    for worker in ("gw0", "gw1"):
        write_journal(tmp_path, f"1-of-1-{worker}-7", [start(worker), broken, end(status=2)])
    assert [error.path for error in read(tmp_path).collection_errors] == ["tests/test_b.py"]


def test_a_refused_plan_is_said(tmp_path: Path) -> None:
    """A worker that collected other tests than planned ran nothing, and the report says why."""
    refused = SelectionRefused(at=100.5, message="collected 1, planned 2", missing=(TWO,))
    write_journal(tmp_path, "1-of-1-w0-7", [start(), refused, end(status=4)])
    report = read(tmp_path, ONE, TWO)
    assert outcomes(report) == {ONE: ["lost"], TWO: ["lost"]}
    assert report.corrupt[0] == "w0 refused its plan and ran nothing: collected 1, planned 2 (tests/test_a.py::test_two)"


def test_a_worker_that_vanished_after_its_last_test_is_seen(tmp_path: Path) -> None:
    """A journal without an end marker gives an exit that did not finish, although every test has its end."""
    write_journal(tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED)])
    report = read(tmp_path, ONE)
    assert outcomes(report) == {ONE: ["passed"]}
    assert [(exit_.worker, exit_.finished_session) for exit_ in report.exits] == [("w0", False)]


def test_deeply_nested_json_is_no_crash(tmp_path: Path) -> None:
    """A hostile line of 100,000 brackets is a bad line like any other."""
    path = write_journal(tmp_path, "1-of-1-w0-7", [start()])
    path.write_text(path.read_text() + "[" * 100_000 + "\n" + '{"event": 3}\n')
    assert len(read(tmp_path, ONE).corrupt) == 2


def test_a_journal_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    """Something of a journal's name that is no file makes the shard corrupt."""
    (tmp_path / "journal-1-of-1-w0-7.jsonl").mkdir()
    (reason,) = read(tmp_path, ONE).corrupt
    assert reason.partition(": ")[0] == "journal-1-of-1-w0-7.jsonl cannot be read"


def test_blank_lines_and_unknown_events_are_read_over(tmp_path: Path) -> None:
    """An event that a newer minor version writes, and an empty line, are no fault."""
    path = write_journal(tmp_path, "1-of-1-w0-7", [start(), *execution(ONE, Outcome.PASSED), end()])
    path.write_text('\n{"event": "SomethingNew", "at": 1.0}\n' + path.read_text())
    report = read(tmp_path, ONE)
    assert (outcomes(report), report.corrupt) == ({ONE: ["passed"]}, ())


def test_a_generation_that_the_supervisor_saw_end_is_counted_once(tmp_path: Path) -> None:
    """Its own journal has no end marker either; a process that the supervisor says nothing of is another one."""
    write_journal(tmp_path, "1-of-1-main-7", [start("main"), *execution(ONE, Outcome.PASSED)])
    write_journal(tmp_path, "1-of-1-gw0-8", [start("gw0"), *execution(TWO, Outcome.PASSED)])
    seen = exit_of("1-of-1-1", returncode=-9, ended_by=EndedBy.SILENCE, finished=False)
    assert [exit_.worker for exit_ in read(tmp_path, ONE, TWO, exits=(seen,)).exits] == ["1-of-1-1", "gw0"]
    assert [exit_.worker for exit_ in read(tmp_path, ONE, TWO).exits] == ["gw0", "main"]
