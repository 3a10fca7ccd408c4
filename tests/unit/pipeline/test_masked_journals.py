"""Journals are rewritten without secrets, and are the same journals: each line, each test ID, and where they were cut."""

from pathlib import Path

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.journal import PhaseFinished, TestFinished, TestsCollected, parse_journal, render_event
from ci_tools.pipeline.masking import copy_masked, mask_journals
from ci_tools.summary.masking import Mask

MASK = Mask(["hunter2-länger"])
NAMED = "t.py::test[hunter2-länger]"


def test_texts_are_masked_and_ids_stay(tmp_path: Path) -> None:
    """A secret in a message goes, whatever it is escaped as; in a test's ID it stays, or the test would be another one."""
    failure = Failure(phase=Phase.CALL, type_name="E", message="hunter2-länger", text="E\n  hunter2-länger")
    events = (
        TestsCollected(at=1.0, count=1, digest="d", test_ids=(NAMED,), markers={"smoke": (NAMED,)}),
        PhaseFinished(at=2.0, test_id=NAMED, phase=Phase.CALL, result="failed", duration_s=0.5, failure=failure),
        TestFinished(at=3.0, test_id=NAMED, outcome=Outcome.FAILED, duration_s=0.5, reason="hunter2-länger"),
    )
    path = tmp_path / "journal-1-of-1-main-1.jsonl"
    path.write_text("".join(f"{render_event(event)}\n" for event in events))
    mask_journals(tmp_path, MASK)
    collected, phase, finished = parse_journal(path.read_text())
    assert collected == events[0]
    assert isinstance(phase, PhaseFinished)
    assert isinstance(finished, TestFinished)
    assert (phase.failure, phase.test_id) == (MASK.value(failure), NAMED)
    assert (finished.reason, finished.test_id) == ("***", NAMED)


def test_a_cut_line_stays_cut(tmp_path: Path) -> None:
    """What a kill left of a line loses its secret and stays what it is: no line of its own, and no end that nobody wrote."""
    (tmp_path / "journal-1-of-1-main-1.jsonl").write_text(
        '{"event":"X","a":"hunter2-l\\u00e4nger"}\n{"event":"Y","a":"hunter2-l\\u00e4nger'
    )
    mask_journals(tmp_path, MASK)
    assert (tmp_path / "journal-1-of-1-main-1.jsonl").read_text() == '{"event":"X","a":"***"}\n{"event":"Y","a":"***'


def test_nothing_to_mask_leaves_the_file(tmp_path: Path) -> None:
    """A journal without a secret is not written again, and bytes that are no text do no harm."""
    path = tmp_path / "journal-1-of-1-main-1.jsonl"
    path.write_bytes(b'{"event":"X","a":"\\n"}\n\xff\x00\n')
    before = path.stat()
    mask_journals(tmp_path, MASK)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_log_is_copied_without_secrets(tmp_path: Path) -> None:
    """Line by line, with its line ends and with bytes that are no UTF-8."""
    (tmp_path / "a.log").write_bytes("x hunter2-länger\r\npostgresql://bob:pass@h/x\n".encode() + b"\xff\xfe")
    copy_masked(tmp_path / "a.log", tmp_path / "b.log", MASK)
    assert (tmp_path / "b.log").read_bytes() == b"x ***\r\npostgresql://bob:***@h/x\n\xff\xfe"
