import errno
import sys
from pathlib import Path

import pytest

from ci_tools.services import readiness


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        (errno.ECONNREFUSED, "connection refused: nothing listens there"),
        (10061, "connection refused: nothing listens there"),
        (1225, "connection refused: nothing listens there"),
        (10048, "address in use: another program has it"),
        (errno.EACCES, "permission denied"),
        (errno.ENOSPC, "No space left on device"),
    ],
)
def test_an_errno_is_said_with_its_number_platform_and_meaning(number: int, meaning: str) -> None:
    """POSIX numbers and Windows' own are both explained in words."""
    assert f"errno {number} on {sys.platform}: {meaning}" == readiness.explain(OSError(number, "raw"))


def test_silence_is_said_as_silence() -> None:
    """A socket's timeout has no errno; it means that somebody accepts and does not answer."""
    assert readiness.explain(TimeoutError("timed out")) == "no answer: it accepts connections and says nothing"


def test_the_log_tail_is_the_last_forty_lines_with_text(tmp_path: Path) -> None:
    """Empty lines are left out, older ones cut off, bytes that are no text replaced."""
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d\n\n" % number for number in range(50)) + b"\xff\n")
    assert (*(f"line {number}" for number in range(11, 50)), "\ufffd") == readiness.log_tail(log)


def test_a_missing_log_is_said(tmp_path: Path) -> None:
    """A log that was never written is a line, not a second error."""
    (line,) = readiness.log_tail(tmp_path / "none")
    assert line.startswith("no log: errno 2")
