"""Phases: the one place that follows a test from phase to phase and tells the guards."""

import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.failures import Project, RaisingFixture, blame_fixture
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.marks import SERVICE, has_mark
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.recording import Recording

_EndPhase = Callable[[pytest.Item, Phase, BaseException | None], BaseException | None]
_Hook = Callable[[pytest.Item], Generator[None, object, object]]
_PYTEST_OWN = frozenset({"_pytest.python", "_pytest.fixtures"})
"""The fixtures at the top of these modules only hand a parameter over, or the configuration; inner ones run setup_module()."""


@dataclass(frozen=True, slots=True)
class _Told:
    """One phase, and who is told that it begins and, in reverse, that it is over: all, or where nothing is left fewer."""

    begin: tuple[Callable[[pytest.Item, Phase], None], ...]
    end: tuple[_EndPhase, ...]
    quiet_end: tuple[_EndPhase, ...]

    @classmethod
    def of(cls, guards: Sequence[Guard], phase: Phase, *, has_service: bool) -> "_Told":
        """Of these guards those to whom this phase of such a test means something."""
        guards = [guard for guard in guards if has_service or guard.mark != SERVICE]
        begin = [one for one in guards if phase in one.begins_in and type(one).begin_phase is not Guard.begin_phase]
        end = [one for one in reversed(guards) if phase in one.ends_in and type(one).end_phase is not Guard.end_phase]
        return cls(
            tuple([guard.begin_phase for guard in begin]),
            tuple([guard.end_phase for guard in end]),
            tuple([guard.end_phase for guard in end if not guard.asks_what_is_left]),
        )


class Phases:
    """Outermost around every phase of every test."""

    def __init__(
        self,
        position: Position,
        recording: Recording,
        project: Project,
        guards: tuple[Guard, ...],
        has_left: Callable[[], bool],
    ) -> None:
        self._position = position
        self._recording = recording
        self._project = project
        # Only who has something to do is asked: this runs for every phase and fixture of every test.
        self._begin_test = [guard.begin_test for guard in guards if type(guard).begin_test is not Guard.begin_test]
        self._note_modules = [guard.note_modules for guard in guards if type(guard).note_modules is not Guard.note_modules]
        self._begin_fixture = [guard.begin_fixture for guard in guards if type(guard).begin_fixture is not Guard.begin_fixture]
        self._end_fixture = [guard.end_fixture for guard in reversed(guards) if type(guard).end_fixture is not Guard.end_fixture]
        self._finish_fixture = [
            guard.finish_fixture for guard in guards if type(guard).finish_fixture is not Guard.finish_fixture
        ]
        self._known_modules = 0
        self._has_service = False
        self._hands_over: dict[pytest.FixtureDef[object], bool] = {}
        # One function each, and no generator inside another: half of what following a phase costs.
        self.pytest_runtest_setup = self._around(Phase.SETUP, guards, has_left)
        """Begins an execution and its set-up."""
        self.pytest_runtest_call = self._around(Phase.CALL, guards, has_left)
        """The test itself."""
        self.pytest_runtest_teardown = self._around(Phase.TEARDOWN, guards, has_left)
        """Tear-down, of wider fixtures too after the last test that needs them."""

    def _around(self, phase: Phase, guards: tuple[Guard, ...], has_left: Callable[[], bool]) -> _Hook:
        position, modules = self._position, sys.modules
        of_service, of_others = (_Told.of(guards, phase, has_service=has_service) for has_service in (True, False))
        begin_test = self._begin if phase is Phase.SETUP else None
        is_last = phase is Phase.TEARDOWN

        def around(item: pytest.Item) -> Generator[None, object, object]:
            if begin_test is not None:
                begin_test(item)
            if len(modules) != self._known_modules:
                self._known_modules = len(modules)
                for note_modules in self._note_modules:
                    note_modules()
            told = of_service if self._has_service else of_others
            position.phase = phase
            position.phase_began = time.perf_counter()
            position.moves += 1
            result: object = None
            error: BaseException | None = None
            try:
                for begin_phase in told.begin:
                    begin_phase(item, phase)
                result = yield
            except BaseException as raised:  # noqa: BLE001 - raised again below, or replaced by a guard's finding
                error = raised
            outcome = error
            position.examined_at = time.monotonic()
            is_quiet = error is None and not (is_last and has_left())
            for end_phase in told.quiet_end if is_quiet else told.end:
                outcome = end_phase(item, phase, outcome)
            position.phase = None
            position.examined_at = 0.0
            position.moves += 1
            if is_last or isinstance(outcome, (KeyboardInterrupt, pytest.exit.Exception)):  # no phase follows either
                position.item = None
                position.test_id = ""
            if outcome is None:
                return result
            raise outcome

        hook: _Hook = pytest.hookimpl(wrapper=True, tryfirst=True)(around)
        return hook

    def _begin(self, item: pytest.Item) -> None:
        """From here on this is the current test."""
        position = self._position
        execution = self._recording.begin(item)
        position.item = item
        position.test_id = execution.test_id
        position.execution = execution.number
        self._has_service = has_mark(item, SERVICE)
        for begin_test in self._begin_test:
            begin_test(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Know which fixture is being set up, and note it on what it raises."""
        if self._only_hands_over(fixturedef):
            return (yield)
        fixtures = self._position.fixtures
        fixtures.append(fixturedef.argname)
        for begin_fixture in self._begin_fixture:
            begin_fixture(fixturedef, request)
        value: object = None
        is_up = False
        try:
            value = yield
            is_up = True
        except BaseException as error:
            path = self._project.relative(fixturedef.func.__code__.co_filename) if hasattr(fixturedef.func, "__code__") else ""
            blame_fixture(error, RaisingFixture(name=fixturedef.argname, scope=fixturedef.scope, path=path))
            raise
        finally:
            for end_fixture in self._end_fixture:
                end_fixture(fixturedef, value, is_up=is_up)
            fixtures.pop()
        return value

    @pytest.hookimpl(trylast=True)
    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """A fixture's life is over."""
        if self._only_hands_over(fixturedef):
            return
        for finish_fixture in self._finish_fixture:
            finish_fixture(fixturedef)

    def _only_hands_over(self, fixturedef: pytest.FixtureDef[object]) -> bool:
        known = self._hands_over.get(fixturedef)
        if known is None:
            function = fixturedef.func
            known = getattr(function, "__module__", "") in _PYTEST_OWN and "<locals>" not in getattr(function, "__qualname__", "")
            self._hands_over[fixturedef] = known
        return known
