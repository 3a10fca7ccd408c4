"""Crashes: what pytest-xdist's controller knows of a worker that died, completed by that worker's own journal."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from ci_tools.errors import DecodeError
from ci_tools.model.journal import (
    STACKS_SUFFIX,
    Event,
    ExitRequested,
    SessionFinished,
    TestFinished,
    TestsCollected,
    TestStarted,
    TimedOut,
    WorkerCrashed,
    WorkerStarted,
    parse_journal,
)
from ci_tools.model.shard import digest_of
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.selection import REFUSED_KEY
from ci_tools.pytest_plugin.stacks import trim_dump

_ENDING_S = 0.5
_POLL_S = 0.005


class Crashes:
    """Writes the controller's journal."""

    def __init__(self, journal: Journal | None, folder: Path) -> None:
        self._journal = journal
        self._folder = folder
        self._has_listed = False
        self._refusal = ""
        self._workers: set[str] = set()
        self._crashed: set[str] = set()
        self._stuck: dict[str, str] = {}

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Say once which tests the workers share."""
        if self._journal is not None and not self._has_listed:
            self._has_listed = True
            test_ids = tuple(ids)
            self._journal.write(
                TestsCollected(at=CLOCK.time(), count=len(test_ids), digest=digest_of(test_ids), test_ids=test_ids),
            )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object, error: object) -> None:
        """Write down that a worker died, with the test that its own journal says it was running."""
        worker = str(node.gateway.id)  # type: ignore[attr-defined] # pytest-xdist's WorkerController
        self._workers.add(worker)
        output = getattr(node, "workeroutput", None) or {}
        self._refusal = self._refusal or str(output.get(REFUSED_KEY, ""))
        if error:
            self._crashed.add(worker)
        if error and self._journal is not None:
            events = self._events_of(worker)
            message = _ending(events) or str(error)
            self._journal.write(WorkerCrashed(at=CLOCK.time(), worker=worker, test_id=_open_test(events), message=message))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, report: pytest.TestReport) -> None:
        """Put what the worker's journal knows into the report that pytest-xdist makes of its death."""
        worker = str(report.node.gateway.id)  # set by pytest-xdist
        verdict = _verdict(self._events_of(worker)) or self._stacks_of(worker)
        if verdict:
            report.longrepr = f"{report.longrepr}\n{verdict}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """After pytest-xdist has ended its workers: one that hung on its way out makes the run red.

        pytest-xdist itself kills such a worker and says nothing.
        """
        for worker in sorted(self._workers - self._crashed):
            events = self._events_of(worker)
            if events and not isinstance(events[-1], SessionFinished):
                self._stuck[worker] = _verdict(events) or self._stacks_of(worker) or "it was killed"
        if self._stuck and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why nothing was run, and which worker did not end."""
        if self._refusal:
            terminalreporter.write_line(f"ERROR: {self._refusal}", red=True)
        for worker, verdict in self._stuck.items():
            terminalreporter.write_line(f"ERROR: worker {worker} did not end after its last test\n{verdict}", red=True)

    def _events_of(self, worker: str) -> list[Event]:
        text = self._newest(f"journal-*-{worker}-*.jsonl")
        try:
            return list(parse_journal(text, where=worker))
        except DecodeError:
            return []

    def _stacks_of(self, worker: str) -> str:
        return trim_dump(self._newest(f"journal-*-{worker}-*{STACKS_SUFFIX}"))

    def _newest(self, pattern: str) -> str:
        # An earlier generation of the shard may have had a worker of the same name.
        paths = sorted(self._folder.glob(pattern), key=lambda path: path.stat().st_mtime)
        return paths[-1].read_text(encoding="utf-8", errors="replace") if paths else ""


def _ending(events: Sequence[Event]) -> str:
    """How the worker's process ended, as its parent may know: not reaped, that is execnet's. Empty where nobody can tell."""
    start = events[0] if events else None
    if not isinstance(start, WorkerStarted) or not hasattr(os, "waitid"):
        return ""
    deadline = CLOCK.monotonic() + _ENDING_S
    try:
        # Its channel closes a moment before the process is gone.
        while (ended := os.waitid(os.P_PID, start.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
            if CLOCK.monotonic() > deadline:
                return ""
            CLOCK.sleep(_POLL_S)
    except ChildProcessError:
        return ""
    if ended.si_code == os.CLD_EXITED:
        return f"ended with exit code {ended.si_status}"
    return f"killed by {signal.Signals(ended.si_status).name}"


def _open_test(events: Sequence[Event]) -> str:
    """The test whose last event is not its end; a guard that ends a worker has charged it already."""
    current = ""
    for event in events:
        match event:
            case TestStarted():
                current = event.test_id
            case TestFinished():
                current = ""
            case _:
                pass
    return current


def _verdict(events: Sequence[Event]) -> str:
    for event in reversed(events):
        match event:
            case TimedOut(ended_worker=True):
                place = f"{event.phase} of {event.test_id}" if event.test_id else "the worker's exit"
                return f"timed out after {event.timeout_s:g} s in {place}\n{event.stacks}"
            case ExitRequested():
                return f"os._exit({event.code}) was called in {event.test_id}\n{event.stacks}"
            case _:
                continue
    return ""
