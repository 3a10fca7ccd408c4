"""Timeouts: a deadline for every test that leaves every other result intact.

pytest-timeout's mark, option, ini key and variable stay the user's words; its timer is taken over through its own
hooks. A test that is out of time is first asked: an async test is cancelled, sync code is interrupted where it stands,
and tear-down runs on a budget of its own. What does not come back ends with its process, while it is still the current
test, its stacks in the journal first.
"""

import os
from collections.abc import Callable, Generator
from typing import Protocol

import pytest

from ci_tools.model.case import Failure, Outcome, Phase
from ci_tools.model.guard import GuardPolicy
from ci_tools.model.journal import CollectionFailed, PhaseFinished, TimedOut
from ci_tools.pytest_plugin.budgets import Budget, FileClock, earliest, phase_budget, problem_of
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.exits import ExitGuard
from ci_tools.pytest_plugin.guard import EACH_PHASE, Guard
from ci_tools.pytest_plugin.interruption import Interruption
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.marks import has_mark
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.scene import children, end_children, render_scene
from ci_tools.pytest_plugin.slow import SLOW
from ci_tools.pytest_plugin.watchdog import STAGES, Deadline, Watchdog

_HOOKS = ("pytest_runtest_protocol", "pytest_runtest_call")
"""Those by which pytest-timeout looks at each test."""
_LEAST_FINISH_S = 60.0
"""Session finish gets at least this: plugins write their reports there."""


class TimedOutError(pytest.fail.Exception):  # type: ignore[misc,name-defined] # public, but only an attribute
    """The test's budget is over."""


class TimeIsUp(BaseException):
    """Raised where a test's function stands; its report has a ``TimedOutError`` in its place.

    Not a failure as pytest has them: hypothesis takes those for what an example found, and runs the hanging one again.
    """


class Settings(Protocol):
    """What pytest-timeout makes of its mark, option, ini key and variable."""

    timeout: float
    func_only: bool
    disable_debugger_detection: bool


class _Woken:
    """pytest-timeout without what it does at the start of a session, which cannot be done twice."""

    def __init__(self, plugin: object) -> None:
        for name in _HOOKS:
            setattr(self, name, getattr(plugin, name))


class Timeouts(Guard):
    """Gives the watchdog its deadlines, and does what it asks for."""

    def __init__(
        self,
        policy: GuardPolicy,
        *,
        position: Position,
        recording: Recording,
        ownership: Ownership,
        exits: ExitGuard,
        journal: Journal | None,
        say: Callable[[str], None],
    ) -> None:
        self._policy = policy
        self.begins_in = EACH_PHASE if policy.phases else ()
        self.quiet_ends_in = EACH_PHASE if policy.phases else (Phase.TEARDOWN,)
        self._stirred = ownership.stirred
        """It is among these while a deadline is over, or is not the test's own."""
        self._position = position
        self._recording = recording
        self._ownership = ownership
        self._exits = exits
        self._say = say
        self._journal = journal
        self._watchdog = Watchdog(self._act, exits.leave, journal.stacks_path if journal else None)
        self._whole: Deadline | None = None
        self._files = FileClock(policy.file_s)
        self._began = 0.0
        self._settings: Settings | None = None
        self._settings_item: pytest.Item | None = None
        self._is_off = False
        self._misused: dict[str, str] = {}
        self._has_user_words = False
        self._resting: object = None
        """pytest-timeout, while nobody has told it anything."""
        self._interruption = Interruption(position, ownership, self._stage, self._error, self.pytest_enter_pdb)

    # The session

    def start(self) -> None:
        """Begin to watch; called in the main thread."""
        self._interruption.install()
        self._watchdog.start()

    def begin_finish(self) -> None:
        """Session finish is bounded too."""
        if not self._is_off:
            timeout_s = max(self._policy.exit_s, self._policy.timeout_s or _LEAST_FINISH_S)
            self._watch(Budget.from_now(timeout_s, "the session's finish"), asks=False)

    def begin_exit(self, timeout_s: float) -> None:
        """The session is over: the interpreter's way out is bounded."""
        self._interruption.remove()
        if self._is_off:
            self._watchdog.stop()
        else:
            self._watchdog.watch_exit(timeout_s, self._policy.grace_s)

    def stop(self) -> None:
        """Watch no more."""
        self._watchdog.stop()

    def tidy(self) -> None:
        """Remove what was never needed."""
        self._watchdog.tidy()

    # Collection

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Importing a file, or a folder's conftest.py, is bounded: one that hangs is a file that could not be collected."""
        if self._is_off or self._policy.collection_s <= 0 or not isinstance(collector, pytest.Directory | pytest.File):
            return (yield)
        self._position.collecting = collector.nodeid or "."
        self._position.enter(Phase.COLLECT)
        self._watch(Budget.from_now(self._policy.collection_s, "the file"))
        try:
            return (yield)
        finally:
            self._watchdog.rest()
            self._position.leave()
            self._position.collecting = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """A mark that says nothing ends pytest-timeout, and with it all other tests: here it is its own test's failure."""
        for item in items:
            mark = item.get_closest_marker("timeout") if has_mark(item, "timeout") else None
            problem = problem_of(mark) if mark is not None else ""
            if problem:
                self._misused[item.nodeid] = problem
                item.add_marker(pytest.mark.timeout(self._policy.timeout_s), append=False)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Where nobody has told pytest-timeout anything it has nothing to do but ask each test twice: it rests."""
        config = session.config
        self._has_user_words = _has_user_words(config)
        plugin = config.pluginmanager.get_plugin("timeout")
        if self._has_user_words or not all(hasattr(plugin, name) for name in _HOOKS) or _has_session_timeout(config):
            return
        if not any(has_mark(item, "timeout") for item in session.items):
            self._resting = config.pluginmanager.unregister(plugin)

    def _wake(self, item: pytest.Item) -> float:
        """A test has got its mark only now, from whoever set it up: seconds for it, and pytest-timeout for it and all others."""
        plugin, self._resting = self._resting, None
        item.config.pluginmanager.register(_Woken(plugin), "ci_tools_woken_timeout")
        mark = item.get_closest_marker("timeout")
        problem = problem_of(mark) if mark is not None else ""
        if problem:
            self._misused[item.nodeid] = problem
            item.add_marker(pytest.mark.timeout(self._policy.timeout_s), append=False)
        if mark is None or problem or mark.kwargs.get("func_only"):
            return 0.0
        return float((mark.args or (mark.kwargs.get("timeout"),))[0] or 0.0)

    # pytest-timeout's hooks

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Settings) -> bool:
        """Take the user's words over; ours is the timer."""
        if self._position.phase is Phase.CALL:  # func_only
            self._stirred.add(self)
            self._whole = self._watch(Budget.from_now(settings.timeout, "the test function"))
        else:
            self._settings, self._settings_item = settings, item
        return True

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_timeout_cancel_timer(self) -> bool:
        """Keep the deadline: pytest-timeout cancels at the first failure, and a tear-down that hangs then has no end."""
        return True

    def pytest_enter_pdb(self) -> None:
        """Somebody debugs: no deadline any more in this session."""
        self._is_off = True
        self._watchdog.allow_anything()

    # A guard

    def begin_test(self, item: pytest.Item) -> None:
        """The budget of a whole execution begins with its set-up, anew for each rerun."""
        if self._is_off:
            return
        self._began = began = CLOCK.monotonic()
        timeout_s = self._timeout_of(item)
        if self._misused:
            self._stirred.add(self)
        if timeout_s > 0 and self._policy.file_s <= 0:  # nearly always
            self._whole = Deadline(began + timeout_s, timeout_s, self._policy.grace_s, "the test")
            self._watchdog.watch(self._whole)
            return
        own = Budget(at=began + timeout_s, timeout_s=timeout_s, what="the test") if timeout_s > 0 else None
        budget = earliest(own, self._files.begin(self._position.test_id)) if self._policy.file_s > 0 else own
        if budget is not None:
            self._whole = self._watch(budget)
            if budget.at <= self._began:  # its file's time was over before: this test's set-up is its end
                self._whole.stage, self._whole.next_at = 1, self._began + self._policy.teardown_s
                self._stirred.add(self)
                self._mark_timed_out()
        else:
            self._whole = None
            self._watchdog.allow_anything()

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """A phase may have a budget of its own."""
        if self._policy.phases and not self._is_off:
            own = phase_budget(self._policy.phases, phase)
            if own is not None and (self._whole is None or own.at < self._whole.at):
                self._watch(own)

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """A phase in which time ran out fails for that, whatever it raised; tear-down gets a budget of its own."""
        self._stirred.discard(self)
        deadline = self._watchdog.deadline
        if phase is Phase.TEARDOWN:
            policy = self._policy
            if policy.file_s > 0:
                self._files.end()
            if 0 < policy.slow_s < CLOCK.monotonic() - self._began:
                self._say_slow(item)
        elif self._misused and phase is Phase.SETUP and error is None and item.nodeid in self._misused:
            error = pytest.fail.Exception(self._misused[item.nodeid], pytrace=False)
        if deadline is None:
            return error
        if not deadline.is_over:
            self._go_on(phase, deadline)
            return error
        if phase is Phase.TEARDOWN:
            self._watchdog.rest()
        else:
            self._whole = self._watch(Budget.from_now(self._policy.teardown_s, "tear-down after a timeout"))
        if isinstance(error, TimedOutError):
            return error
        # With the traceback of what it raised: a cancelled test shows where it was waiting.
        timed_out: BaseException = TimedOutError(self._message(deadline), pytrace=error is not None)
        return timed_out.with_traceback(error.__traceback__ if error is not None else None)

    def _go_on(self, phase: Phase, deadline: Deadline) -> None:
        """A phase is over in time: from now on what is left of the whole counts again."""
        if phase is Phase.TEARDOWN:
            self._watchdog.rest()
        elif phase is Phase.CALL and deadline.what == "the test function":
            self._whole = None
            self._watchdog.allow_anything()
        elif deadline is not self._whole:
            if self._whole is not None:
                self._watchdog.watch(self._whole)
            else:
                self._watchdog.allow_anything()

    def _say_slow(self, item: pytest.Item) -> None:
        told = f"{CLOCK.monotonic() - self._began:.1f}"
        item.user_properties.append((SLOW, told))
        if self._recording.execution is not None:
            self._recording.execution.tell().properties[SLOW] = told

    def _mark_timed_out(self) -> None:
        execution = self._recording.execution
        if execution is not None:
            execution.tell().is_timed_out = True

    def _timeout_of(self, item: pytest.Item) -> float:
        settings = self._settings
        if settings is not None and self._settings_item is item:
            return settings.timeout
        if has_mark(item, "timeout"):
            return self._wake(item) if self._resting is not None else 0.0
        return 0.0 if self._has_user_words else self._policy.timeout_s

    def _watch(self, budget: Budget, *, asks: bool = True) -> Deadline:
        deadline = Deadline(at=budget.at, timeout_s=budget.timeout_s, grace_s=self._policy.grace_s, what=budget.what, asks=asks)
        self._watchdog.watch(deadline)
        return deadline

    def _message(self, deadline: Deadline) -> str:
        is_somewhere = self._position.test_id or self._position.collecting
        place = f", and time ran out in {self._position.place}" if is_somewhere else ""
        return f"timed out: {deadline.what} had {deadline.timeout_s:g} s{place}"

    def _stage(self) -> int:
        deadline = self._watchdog.deadline
        return deadline.stage if deadline is not None else 0

    def _error(self) -> BaseException:
        deadline, position = self._watchdog.deadline, self._position
        message = self._message(deadline) if deadline is not None else "timed out"
        return TimeIsUp(message) if position.phase is Phase.CALL and not position.fixtures else TimedOutError(message)

    # In the watchdog's thread

    def _act(self, deadline: Deadline, stage: int) -> None:
        self._stirred.add(self)
        examined_at = self._position.examined_at
        if stage > 1 and examined_at and CLOCK.monotonic() - examined_at < self._policy.teardown_s:
            deadline.stage -= 1  # the test came back; what it left behind is just being looked at and ended
            return
        if stage == STAGES:
            self._end_process(deadline)
            return
        if stage == 1:
            self._write(deadline, ended_worker=False)
            self._mark_timed_out()
        if self._position.phase is not None:
            self._interruption.send()

    def _write(self, deadline: Deadline, *, ended_worker: bool) -> str:
        stacks = render_scene(list(self._ownership.loops))
        execution = self._recording.execution
        self._recording.write(
            TimedOut(
                at=CLOCK.time(),
                test_id=execution.test_id if execution else self._position.test_id,
                phase=self._position.phase or Phase.TEARDOWN,
                timeout_s=deadline.timeout_s,
                stacks=stacks,
                ended_worker=ended_worker,
                place="" if execution else (self._position.collecting and self._position.place) or deadline.what,
            ),
        )
        return stacks

    def _end_process(self, deadline: Deadline) -> None:
        message = self._message(deadline)
        left = children()
        if left:
            message += "\nchildren: " + ", ".join(left)
        phase = self._position.phase or Phase.TEARDOWN
        stacks = self._write(deadline, ended_worker=True)
        execution = self._recording.execution
        if execution is not None:
            failure = Failure(phase=phase, type_name=TimedOutError.__qualname__, message=message, text=f"{message}\n{stacks}")
            self._recording.write(
                PhaseFinished(
                    at=CLOCK.time(),
                    test_id=execution.test_id,
                    phase=phase,
                    result="failed",
                    duration_s=CLOCK.perf_counter() - self._position.phase_began,
                    failure=failure,
                ),
            )
            self._recording.finish(execution, Outcome.TIMED_OUT, reason=message)
        elif self._position.collecting:
            failure = Failure(phase=phase, type_name=TimedOutError.__qualname__, message=message, text=f"{message}\n{stacks}")
            self._recording.write(CollectionFailed(at=CLOCK.time(), path=self._position.collecting, failure=failure))
        journal = f"\njournal: {self._journal.path}" if self._journal else ""
        self._say(f"\nci-tools: {message}\nit did not come back, so this process is ended\n{stacks}{journal}")
        self._watchdog.tidy()
        end_children()


def _has_user_words(config: pytest.Config) -> bool:
    """Whether pytest-timeout was told anything for all tests, be it 0: then our default has no say."""
    if os.environ.get("PYTEST_TIMEOUT"):
        return True
    if not config.pluginmanager.hasplugin("timeout"):
        return False
    return config.getoption("timeout", default=None) is not None or config.getini("timeout") not in {None, ""}


def _has_session_timeout(config: pytest.Config) -> bool:
    """Whether pytest-timeout has to ask after each test how long the session has taken."""
    return config.getoption("session_timeout", default=None) is not None or bool(config.getini("session_timeout"))
