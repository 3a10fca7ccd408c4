"""Recording: turns what pytest reports into the journal's events."""

import re
from collections.abc import Generator, Iterable, Mapping, Sequence

import pytest

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.journal import (
    CollectionFailed,
    Event,
    PassedLines,
    PhaseFinished,
    SessionFinished,
    TestFinished,
    TestsCollected,
)
from ci_tools.model.shard import digest_of
from ci_tools.pytest_plugin.calls import Calls
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.failures import Project, blamed_fixture, failure_of
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.position import Position, test_id_of

_RAISED = re.compile(r"E +((?:\w+\.)*\w+(?:Error|Exception|Warning|Exit)): (.+)")
"""The line in which pytest's text says what was raised."""
_CALL, _TEARDOWN = Phase.CALL, Phase.TEARDOWN  # asked three times for each test; the attribute of an enum is dear
_PHASES = {"setup": Phase.SETUP, "call": Phase.CALL, "teardown": Phase.TEARDOWN}


class Told:
    """What there is to tell of an execution besides that it passes. ``results`` has the phases that did not pass."""

    __slots__ = ("counts", "has_xfail", "is_timed_out", "properties", "reason", "results", "subtest_failures")

    def __init__(self) -> None:
        self.is_timed_out = False
        self.has_xfail = False
        self.reason = ""
        self.results: dict[Phase, str] = {}
        self.subtest_failures: list[Failure] = []
        self.properties: dict[str, str] = {}
        self.counts: dict[Phase, Mapping[str, int]] = {}

    @property
    def outcome(self) -> Outcome:
        """What became of the execution, by the phases that are over."""
        if self.is_timed_out:
            return Outcome.TIMED_OUT
        setup = self.results.get(Phase.SETUP)
        call = self.results.get(Phase.CALL)
        if call == "failed":
            return Outcome.FAILED
        if setup == "failed" or self.results.get(Phase.TEARDOWN) == "failed":
            return Outcome.ERROR
        if "skipped" in (setup, call):
            return Outcome.XFAILED if self.has_xfail else Outcome.SKIPPED
        return Outcome.XPASSED if self.has_xfail else Outcome.PASSED


class Execution:
    """One execution of one test, as far as it got."""

    __slots__ = ("began", "lines", "number", "test_id", "told")

    def __init__(self, test_id: str, number: int) -> None:  # by hand, as each test makes one: half a dataclass's price
        self.test_id = test_id
        self.number = number
        self.lines = PassedLines(test_id)
        self.told: Told | None = None
        """None while there is nothing to tell but that it passes, as of nearly all."""
        self.began = CLOCK.perf_counter()

    def tell(self) -> Told:
        """Where to put down what there is to tell."""
        if self.told is None:
            self.told = Told()
        return self.told


def _with_marker(items: Iterable[pytest.Item], name: str) -> tuple[str, ...]:
    return tuple(test_id_of(item) for item in items if item.get_closest_marker(name) is not None)


class Recording:
    """Writes the journal of one process that runs tests."""

    def __init__(
        self, journal: Journal | None, position: Position, project: Project, *, lists_tests: bool, markers: Sequence[str] = ()
    ) -> None:
        self._journal = journal
        self.execution: Execution | None = None
        self._position = position
        self._project = project
        self._calls = Calls(project)
        self._lists_tests = lists_tests
        self._markers = markers
        self._executions: dict[str, int] = {}
        self.begun = 0
        """How many executions have begun in this process."""
        self._finished = 0
        self._collection_began = CLOCK.perf_counter()
        self._collection_failures: dict[str, Failure] = {}

    def write(self, *events: Event) -> None:
        """Put events into the journal, if there is one, with one write for all of them."""
        if self._journal is not None:
            self._journal.write(*events)

    # Collection

    def pytest_collection(self) -> None:
        """Start the clock."""
        self._collection_began = CLOCK.perf_counter()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Say which tests this process is about to run."""
        test_ids = tuple(test_id_of(item) for item in session.items)
        self.write(
            TestsCollected(
                at=CLOCK.time(),
                count=len(test_ids),
                digest=digest_of(test_ids),
                test_ids=test_ids if self._lists_tests else (),
                duration_s=CLOCK.perf_counter() - self._collection_began,
                markers={name: _with_marker(session.items, name) for name in self._markers},
            ),
        )

    def pytest_exception_interact(self, call: pytest.CallInfo[object], report: pytest.CollectReport | pytest.TestReport) -> None:
        """Keep a collection error's exception: its report holds only text."""
        if isinstance(report, pytest.CollectReport) and call.excinfo is not None:
            text = report.longreprtext
            self._collection_failures[report.nodeid] = failure_of(
                call.excinfo.value, phase=Phase.COLLECT, project=self._project, text=text
            )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Say which file could not be collected, and why."""
        if report.failed:
            failure = self._collection_failures.get(report.nodeid) or _textual_failure(Phase.COLLECT, report.longreprtext)
            self.write(CollectionFailed(at=CLOCK.time(), path=report.nodeid or ".", failure=failure))

    # One execution of one test

    def begin(self, item: pytest.Item) -> Execution:
        """An execution's set-up is about to begin."""
        test_id = test_id_of(item)
        number = self._executions.get(test_id, 0) + 1
        self._executions[test_id] = number
        self.begun += 1
        self.execution = execution = Execution(test_id, number)
        if self._journal is not None:
            self._journal.write_text(execution.lines.started(CLOCK.time(), number) + "\n")
        return execution

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write down how a phase ended; a report made while the call is still running is a subtest's."""
        report = yield
        execution = self.execution
        phase = _PHASES.get(report.when or "")
        if execution is None or phase is None:
            return report
        is_running = self._position.phase is _CALL
        if report.outcome == "passed" and not (
            is_running or execution.told is not None or report.user_properties or hasattr(report, "wasxfail")
        ):
            self._write_passed(execution, phase, report.duration)
            return report
        if is_running:
            if report.failed:
                execution.tell().subtest_failures.append(self._failure(report, call, phase))
            return report
        ended = self._end_phase(execution, phase, report, call)
        if phase is Phase.TEARDOWN:
            self.finish(execution, after=(ended,))
        else:
            self.write(ended)
        return report

    def _write_passed(self, execution: Execution, phase: Phase, duration_s: float) -> None:
        at = CLOCK.time()
        text = execution.lines.passed(at, phase, duration_s) + "\n"
        if phase is _TEARDOWN:
            self._finished += 1
            self.execution = None
            text += execution.lines.finished(at, CLOCK.perf_counter() - execution.began, execution.number) + "\n"
        if self._journal is not None:
            self._journal.write_text(text)

    def finish(
        self, execution: Execution, outcome: Outcome | None = None, reason: str = "", *, after: tuple[Event, ...] = ()
    ) -> None:
        """An execution is over: by its tear-down, or (outcome given) because the process is about to end."""
        self._finished += 1
        self.execution = None
        told = execution.tell()
        self.write(
            *after,
            TestFinished(
                at=CLOCK.time(),
                test_id=execution.test_id,
                outcome=outcome or told.outcome,
                duration_s=CLOCK.perf_counter() - execution.began,
                execution=execution.number,
                reason=reason or told.reason,
                properties=told.properties,
            ),
        )

    def end_session(self, exit_status: int) -> None:
        """The end marker."""
        self.write(SessionFinished(at=CLOCK.time(), exit_status=int(exit_status), finished=self._finished))

    def _end_phase(
        self, execution: Execution, phase: Phase, report: pytest.TestReport, call: pytest.CallInfo[None]
    ) -> PhaseFinished:
        told = execution.tell()
        result: str = report.outcome
        failure = None
        reason = _reason_of(report)
        if report.failed:
            failure = self._failure(report, call, phase)
        elif phase is Phase.CALL and told.subtest_failures and report.passed:
            # pytest itself turns the test red only when it is shown.
            result, failure = "failed", told.subtest_failures[0]
            reason = f"{len(told.subtest_failures)} failed subtest(s)"
        if hasattr(report, "wasxfail"):
            told.has_xfail = True
        if reason:
            told.reason = reason
        if result != "passed":
            told.results[phase] = result
        if report.user_properties:
            told.properties.update({str(name): str(value) for name, value in report.user_properties})
        return PhaseFinished(
            at=CLOCK.time(),
            test_id=execution.test_id,
            phase=phase,
            result=result,
            duration_s=report.duration,
            failure=failure,
            reason=reason,
            counts=told.counts.get(phase),
        )

    def _failure(self, report: pytest.TestReport, call: pytest.CallInfo[None], phase: Phase) -> Failure:
        text = report.longreprtext
        if call.excinfo is None:  # a strict xpass, or a plugin that turned the report itself
            return _textual_failure(phase, text)
        fixture = blamed_fixture(call.excinfo.value)
        return failure_of(
            call.excinfo.value,
            phase=phase,
            project=self._project,
            text=text,
            fixture=fixture.name if fixture else None,
            fixture_scope=fixture.scope if fixture else None,
            fixture_path=fixture.path if fixture else None,
            calls=self._calls.of(call.excinfo.value),
        )


def _textual_failure(phase: Phase, text: str) -> Failure:
    """A failure of which only pytest's text is known: a module that cannot be imported is reported so."""
    lines = [line for line in text.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "failed without a word"
    if raised := _RAISED.fullmatch(last):
        return Failure(phase=phase, type_name=raised[1], message=raised[2], text=text)
    return Failure(phase=phase, type_name="", message=last, text=text)


def _reason_of(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ")
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return ""
