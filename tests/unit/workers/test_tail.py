import os
import signal
import sys
from pathlib import Path

import pytest

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import (
    Event,
    PhaseFinished,
    SessionFinished,
    TestFinished,
    TestStarted,
    WorkerStarted,
    parse_journal,
    render_event,
)
from ci_tools.model.worker import WorkerOrder
from ci_tools.workers.charges import Charges, describe_exit
from ci_tools.workers.tail import Flight, Tail

STARTED = WorkerStarted(at=1, run_id="r", worker="main", pid=7)


def append(path: Path, *events: Event, cut: int = 0) -> None:
    """Write lines as a worker does; the last ``cut`` characters are still to come."""
    text = "".join(render_event(event) + "\n" for event in events)
    with path.open("a", encoding="ascii") as stream:
        stream.write(text[: len(text) - cut])


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """The journal of one worker of the whole suite, not there yet."""
    return tmp_path / "journal-1-of-1-main-7.jsonl"


def test_events_come_once(tmp_path: Path, journal: Path) -> None:
    """Each call gives the events written since the last one."""
    tail = Tail(tmp_path, "1-of-1")
    assert list(tail.read()) == []
    append(journal, STARTED)
    assert list(tail.read()) == [STARTED]
    append(journal, TestStarted(at=2, test_id="a"))
    assert list(tail.read()) == [TestStarted(at=2, test_id="a")]
    assert list(tail.read()) == []


def test_a_line_that_is_being_written_waits(tmp_path: Path, journal: Path) -> None:
    """Half a line is no event; whole it is one."""
    tail = Tail(tmp_path, "1-of-1")
    append(journal, STARTED, cut=10)
    assert list(tail.read()) == []
    with journal.open("a", encoding="ascii") as stream:
        stream.write((render_event(STARTED) + "\n")[-10:])
    assert list(tail.read()) == [STARTED]


def test_a_line_that_is_none_is_passed_over(tmp_path: Path, journal: Path) -> None:
    """A line that cannot be read is counted and does not hide what follows."""
    tail = Tail(tmp_path, "1-of-1")
    journal.write_text("garbage\n", encoding="ascii")
    append(journal, STARTED)
    assert list(tail.read()) == [STARTED]
    assert [voice.unreadable for voice in tail.voices.values()] == [1]


def test_other_journals_are_left_alone(tmp_path: Path, journal: Path) -> None:
    """Journals of earlier generations, of other shards and the supervisor's own are not this worker's."""
    append(tmp_path / "journal-1-of-1-main-3.jsonl", STARTED)
    tail = Tail(tmp_path, "1-of-1")
    append(tmp_path / "journal-2-of-4-main-8.jsonl", STARTED)
    append(tmp_path / "journal-1-of-1-supervisor-9.jsonl", STARTED)
    append(journal, STARTED)
    assert list(tail.read()) == [STARTED]
    assert list(tail.voices) == [journal]


def test_what_is_in_flight(tmp_path: Path, journal: Path) -> None:
    """A test is in flight from its start to its end, in the phase after the last one that finished."""
    tail = Tail(tmp_path, "1-of-1")
    append(journal, STARTED, TestStarted(at=2, test_id="a"))
    append(journal, PhaseFinished(at=3, test_id="a", phase=Phase.SETUP, result="passed", duration_s=0.1))
    list(tail.read())
    assert [(flight.test_id, flight.phase) for _, flight in tail.flights] == [("a", Phase.CALL)]
    append(journal, TestFinished(at=4, test_id="a", outcome=Outcome.PASSED, duration_s=2.0))
    list(tail.read())
    assert (tail.flights, tail.finished) == ([], {"a"})


def test_a_touch_is_a_sign_of_life(tmp_path: Path, journal: Path) -> None:
    """A process that touches its journal without a line is heard."""
    tail = Tail(tmp_path, "1-of-1")
    append(journal, STARTED)
    list(tail.read())
    heard = tail.heard
    stat = journal.stat()
    os.utime(journal, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    assert list(tail.read()) == []
    assert tail.heard > heard


def test_the_session_is_that_of_the_started_process(tmp_path: Path, journal: Path) -> None:
    """Where pytest-xdist distributes, only its controller's end marker ends the session."""
    tail = Tail(tmp_path, "1-of-1")
    append(
        tmp_path / "journal-1-of-1-controller-6.jsonl",
        WorkerStarted(at=1, run_id="r", worker="controller", pid=6, role="controller"),
    )
    append(journal, WorkerStarted(at=1, run_id="r", worker="gw0", pid=7), SessionFinished(at=5, exit_status=0, finished=1))
    list(tail.read())
    assert tail.session is None
    append(tmp_path / "journal-1-of-1-controller-6.jsonl", SessionFinished(at=6, exit_status=1, finished=1))
    list(tail.read())
    assert tail.session == SessionFinished(at=6, exit_status=1, finished=1)


def test_charges_are_between_a_start_and_an_end(tmp_path: Path) -> None:
    """The supervisor's journal comes with the first charge, and says what, why and by whom."""
    order = WorkerOrder(run_id="r", journal_dir=str(tmp_path))
    told: list[Event] = []
    with Charges(order, told.append) as charges:
        assert list(tmp_path.iterdir()) == []
        charges.charge(Flight("a", 1.0), worker="gw0", generation=2, message="gone")
        charges.lose(Flight("b", 1.0), worker="gw1", generation=2, message="interrupted")
    (path,) = tmp_path.iterdir()
    events = list(parse_journal(path.read_text("ascii")))
    assert path.name == f"journal-1-of-1-supervisor-{os.getpid()}.jsonl"
    assert [type(event).__name__ for event in events] == [
        "WorkerStarted",
        "PhaseFinished",
        "TestFinished",
        "TestFinished",
        "SessionFinished",
    ]
    finished = [event for event in events if isinstance(event, TestFinished)]
    assert [(event.test_id, event.outcome, event.reason) for event in finished] == [
        ("a", Outcome.CRASHED, "gone"),
        ("b", Outcome.LOST, "interrupted"),
    ]
    assert finished[0].properties == {"charged_by": "supervisor", "worker": "gw0", "generation": "2"}
    assert told == events[1:]
    assert charges.test_ids == {"a", "b"}


def test_exit_codes_are_described() -> None:
    """An exit code is one, a number that is no signal stays a number."""
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-250) == "signal (250)"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_signals_are_described() -> None:
    """A signal has its name, and SIGKILL its usual sender."""
    assert describe_exit(-signal.SIGTERM) == "SIGTERM (15)"
    assert describe_exit(-signal.SIGKILL) == "SIGKILL (9), which the kernel also sends when memory runs out"
