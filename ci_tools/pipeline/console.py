"""The terminal of a run: a progress line where somebody watches, plain lines where a log is kept."""

import shutil
import time
from typing import TextIO

from ci_tools.model.case import Outcome
from ci_tools.model.journal import Event, TestFinished, TestStarted, TimedOut
from ci_tools.model.service import Provenance
from ci_tools.summary.escape import one_line
from ci_tools.summary.progress import Progress, render_progress

_LIVE_EVERY_S = 0.1
_LOG_EVERY_S = 15.0
_ERASE = "\r\x1b[K"


class Terminal:
    """Prints stages, results that are not green as they come, and how far the run is.

    On a terminal one line is rewritten; elsewhere a line is added every 15 s, so that a log shows that the run lives.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_live = stream.isatty()
        self._stage = ""
        self._began = time.monotonic()
        self._expected = 0
        self._workers = 1
        self._counts: dict[Outcome, int] = {}
        self._in_flight: dict[str, float] = {}
        self._shown_at = 0.0
        self._is_line_open = False

    def say(self, text: str) -> None:
        """Lines of ours, below each other."""
        self._erase()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def stage(self, name: str, *, expected: int = 0, workers: int = 1) -> None:
        """A stage begins."""
        self._stage, self._expected, self._workers = name, expected, workers
        self._began = self._shown_at = time.monotonic()
        self._counts, self._in_flight = {}, {}
        if expected:
            self.say(f"{name}: {expected} test(s), {workers} worker(s)")

    def event(self, event: Event) -> None:
        """Count it, show a result that is not green, and refresh the progress line when it is time."""
        now = time.monotonic()
        match event:
            case TestStarted():
                self._in_flight[event.test_id] = now
            case TestFinished():
                self._in_flight.pop(event.test_id, None)
                self._counts[event.outcome] = self._counts.get(event.outcome, 0) + 1
                if not event.outcome.is_green:
                    reason = f" – {_told(event.reason)}" if event.reason else ""
                    self.say(f"  {event.outcome.upper():<9} {_told(event.test_id)} ({event.duration_s:.2f} s){reason}")
            case TimedOut():
                where = f"{_told(event.test_id)} in its {event.phase}" if event.test_id else _told(event.place)
                self.say(f"  hanging   {where} after {event.timeout_s:g} s")
            case _:
                pass
        self._refresh(now)

    def _refresh(self, now: float) -> None:
        if now - self._shown_at < (_LIVE_EVERY_S if self._is_live else _LOG_EVERY_S):
            return
        self._shown_at = now
        progress = Progress(
            elapsed_s=now - self._began,
            expected=self._expected,
            counts=self._counts,
            in_flight={test_id: now - since for test_id, since in self._in_flight.items()},
            workers=self._workers,
            stage=self._stage,
        )
        width = shutil.get_terminal_size((100, 24)).columns - 1
        line = render_progress(progress, width=width, color=self._is_live)
        if self._is_live:
            self._stream.write(f"{_ERASE}{line}")
            self._is_line_open = True
        else:
            self._stream.write(f"{line}\n")
        self._stream.flush()

    def _erase(self) -> None:
        if self._is_line_open:
            self._stream.write(_ERASE)
            self._is_line_open = False


def _told(text: str) -> str:
    """Text of tests on one line, in which a runner sees no command: ``##[`` is one anywhere, ``::`` only at a line's start."""
    return one_line(text).replace("##[", "## [")


def introduce(provenance: Provenance) -> str:
    """One line of proof: what, where, by which provider and why, from which file, how fast."""
    reason = provenance.reason.partition("; ")[0]
    source = f": {provenance.path}" if provenance.path else ""
    digest = f", sha256 {provenance.sha256[:12]}" if provenance.sha256 else ""
    pid = f", pid {provenance.pid}" if provenance.pid else ""
    return (
        f"{provenance.kind} {provenance.version} on {provenance.host}:{provenance.port}, {provenance.provider} ({reason}){source}"
        f"{digest}{pid} ({provenance.start_ms:.0f} ms)"
    )
