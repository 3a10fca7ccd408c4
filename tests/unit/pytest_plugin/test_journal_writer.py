"""The journal's writer loses no line, mixes none and troubles nobody."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_tools.model.case import Outcome, Phase
from ci_tools.model.journal import (
    Event,
    PassedLines,
    PhaseFinished,
    TestFinished,
    TestStarted,
    parse_event,
    parse_journal,
    render_event,
)
from ci_tools.pytest_plugin.journal import Journal, journal_name


def _event(name: str) -> TestStarted:
    return TestStarted(at=1.0, test_id=name)


def _names(journal: Journal) -> list[str]:
    return [event.test_id for event in parse_journal(journal.path.read_text(encoding="utf-8")) if isinstance(event, TestStarted)]


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "deep" / journal_name(shard_slug="1-of-1", worker="gw0", pid=7))
    yield journal
    journal.close()


def test_a_line_is_there_at_once(journal: Journal) -> None:
    """Nothing waits in a buffer."""
    journal.write(_event("a"))
    assert _names(journal) == ["a"]


def test_threads_do_not_mix_their_lines(journal: Journal) -> None:
    """Long lines of many threads stay whole."""
    names = [f"{number}-{'x' * 20_000}" for number in range(40)]
    threads = [threading.Thread(target=journal.write, args=(_event(name),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(_names(journal)) == sorted(names)


def test_a_lone_surrogate_is_written(journal: Journal) -> None:
    """A test ID from broken parameters does not break the journal."""
    journal.write(_event("a[\udc80]"))
    assert _names(journal) == ["a[\udc80]"]


def test_a_closed_journal_takes_nothing(journal: Journal) -> None:
    """After the end nobody writes, and nobody is told off."""
    journal.close()
    journal.write(_event("late"))
    assert _names(journal) == []


def test_a_descriptor_closed_by_the_tested_code_is_opened_again(journal: Journal) -> None:
    """Code that closes every descriptor does not silence the journal."""
    os.close(journal._descriptor)
    journal.write(_event("after"))
    assert _names(journal) == ["after"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_write(journal: Journal) -> None:
    """The child's copy of the journal is silent."""
    pid = os.fork()
    if pid == 0:
        journal.write(_event("child"))
        os._exit(0)
    os.waitpid(pid, 0)
    journal.write(_event("parent"))
    assert _names(journal) == ["parent"]


@pytest.mark.parametrize("test_id", ["tests/test_a.py::test_b", 'quoted["\\ \u00e4"]', "cut[\udc80]", "two\nlines\x7f\x00"])
@pytest.mark.parametrize("execution", [1, 2])
def test_the_short_way_to_a_passed_test_writes_what_the_general_way_does(test_id: str, execution: int) -> None:
    """Nobody can tell from what is read of the journal which of the two rendered a line."""
    lines = PassedLines(test_id)
    events: list[Event] = [TestStarted(at=1.25, test_id=test_id, execution=execution)]
    short = [lines.started(1.25, execution)]
    for phase in (Phase.SETUP, Phase.CALL, Phase.TEARDOWN):
        events.append(PhaseFinished(at=1e9 + 0.25, test_id=test_id, phase=phase, result="passed", duration_s=0.0078125))
        short.append(lines.passed(1e9 + 0.25, phase, 0.0078125))
    events.append(TestFinished(at=3.0, test_id=test_id, outcome=Outcome.PASSED, duration_s=0.5, execution=execution))
    short.append(lines.finished(3.0, 0.5, execution))
    assert [parse_event(line) for line in short] == [parse_event(render_event(event)) for event in events] == events
    assert json.loads(short[1])["duration_s"] == 0.0078125
