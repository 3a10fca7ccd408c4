"""Phases: the one place that follows a test from phase to phase and tells the guards."""

import sys
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.clock import CLOCK
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
    """One phase, and who is told that it begins and, in reverse, that it is over: all, or where it ends quietly fewer."""

    begin: tuple[Callable[[pytest.Item, Phase], None], ...]
    end: tuple[Guard, ...]
    quiet_end: tuple[_EndPhase, ...]

    @classmethod
    def of(cls, guards: Sequence[Guard], phase: Phase, *, has_service: bool) -> "_Told":
        """Of these guards those to whom this phase of such a test means something."""
        guards = [guard for guard in guards if has_service or guard.mark != SERVICE]
        begin = [one for one in guards if phase in one.begins_in and type(one).begin_phase is not Guard.begin_phase]
        end = [one for one in reversed(guards) if phase in one.ends_in and type(one).end_phase is not Guard.end_phase]
        return cls(
            tuple([guard.begin_phase for guard in begin]),
            tuple(end),
            tuple([guard.end_phase for guard in end if phase in guard.quiet_ends_in]),
        )


@dataclass(frozen=True, slots=True)
class _Followers:
    """Who is told of a fixture; nobody where it only hands something over."""

    begin: tuple[Callable[[pytest.FixtureDef[object], pytest.FixtureRequest], None], ...] = ()
    end: tuple[Callable[..., None], ...] = ()
    finish: tuple[Callable[[pytest.FixtureDef[object]], None], ...] = ()

    @classmethod
    def of(cls, guards: Sequence[Guard]) -> "_Followers":
        """Of these guards those to whom fixtures mean something."""
        return cls(
            tuple([guard.begin_fixture for guard in guards if type(guard).begin_fixture is not Guard.begin_fixture]),
            tuple([guard.end_fixture for guard in reversed(guards) if type(guard).end_fixture is not Guard.end_fixture]),
            tuple([guard.finish_fixture for guard in guards if type(guard).finish_fixture is not Guard.finish_fixture]),
        )

    def end_life(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """It has been torn down."""
        for finish_fixture in self.finish:
            finish_fixture(fixturedef)


class Phases:
    """Outermost around every phase of every test."""

    def __init__(
        self,
        position: Position,
        recording: Recording,
        project: Project,
        guards: tuple[Guard, ...],
        *,
        stirred: Collection[Guard],
        has_left: Callable[[], bool],
    ) -> None:
        self._position = position
        self._recording = recording
        self._project = project
        self._stirred = stirred
        # Only who has something to do is asked: this runs for every phase and fixture of every test.
        self._begin_test = [guard.begin_test for guard in guards if type(guard).begin_test is not Guard.begin_test]
        self._note_modules = [guard.note_modules for guard in guards if type(guard).note_modules is not Guard.note_modules]
        self._of_wide_fixtures = _Followers.of(guards)
        self._of_function_fixtures = _Followers.of([guard for guard in guards if guard.follows_function_fixtures])
        self._known_modules = 0
        self._has_service = False
        self._followers: dict[pytest.FixtureDef[object], _Followers | None] = {}
        # One function each, and no generator inside another: half of what following a phase costs.
        self.pytest_runtest_setup = self._around(Phase.SETUP, guards, self._begin, None)
        """Begins an execution and its set-up."""
        self.pytest_runtest_call = self._around(Phase.CALL, guards, None, None)
        """The test itself."""
        self.pytest_runtest_teardown = self._around(Phase.TEARDOWN, guards, None, has_left)
        """Tear-down, of wider fixtures too after the last test that needs them."""

    def _around(  # noqa: C901 - one function for each phase, as said above
        self,
        phase: Phase,
        guards: tuple[Guard, ...],
        begin_test: Callable[[pytest.Item], None] | None,
        has_left: Callable[[], bool] | None,
    ) -> _Hook:
        """The hook of one phase; ``has_left`` is asked after the last one."""
        position, modules, stirred, clock = self._position, sys.modules, self._stirred, CLOCK.perf_counter
        of_service = _Told.of(guards, phase, has_service=True)
        of_others = _Told.of(guards, phase, has_service=False)

        def around(item: pytest.Item) -> Generator[None, object, object]:
            if begin_test is not None:
                begin_test(item)
            if len(modules) != self._known_modules:
                self._look_at_modules()
            told = of_service if self._has_service else of_others
            position.phase = phase
            position.phase_began = clock()
            result: object = None
            error: BaseException | None = None
            try:
                for begin_phase in told.begin:
                    begin_phase(item, phase)
                result = yield
            except BaseException as raised:  # noqa: BLE001 - raised again below, or replaced by a guard's finding
                error = raised
            if error is not None or stirred or (has_left is not None and has_left()):
                error = self._examine(item, phase, told, error)
            else:
                position.phase = None  # no code under test runs, and nobody asks it to end
                for end_phase in told.quiet_end:
                    error = end_phase(item, phase, error)
                if stirred:  # by one of these just now
                    error = _hear(told, stirred, item, phase, error)
            if has_left is not None or isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):  # no phase follows either
                position.item = None
                position.test_id = ""
            if error is None:
                return result
            raise error

        hook: _Hook = pytest.hookimpl(wrapper=True, tryfirst=True)(around)
        return hook

    def _look_at_modules(self) -> None:
        self._known_modules = len(sys.modules)
        for note_modules in self._note_modules:
            note_modules()

    def _examine(self, item: pytest.Item, phase: Phase, told: _Told, error: BaseException | None) -> BaseException | None:
        """Not all is quiet: every guard has its say. They may end what the test left behind, and that takes its time."""
        position = self._position
        position.examined_at = CLOCK.monotonic()
        for guard in told.end:
            error = guard.end_phase(item, phase, error)
        position.phase = None
        position.examined_at = 0.0
        return error

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
        try:
            followers = self._followers[fixturedef]
        except KeyError:
            followers = self._followers_of(fixturedef)
        if followers is None:
            return (yield)
        if followers.finish:  # the last thing that is called when its life is over
            fixturedef.addfinalizer(partial(followers.end_life, fixturedef))
        fixtures = self._position.fixtures
        fixtures.append(fixturedef.argname)
        for begin_fixture in followers.begin:
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
            for end_fixture in followers.end:
                end_fixture(fixturedef, value, is_up=is_up)
            fixtures.pop()
        return value

    def _followers_of(self, fixturedef: pytest.FixtureDef[object]) -> _Followers | None:
        function = fixturedef.func
        followers: _Followers | None = None
        if getattr(function, "__module__", "") not in _PYTEST_OWN or "<locals>" in getattr(function, "__qualname__", ""):
            followers = self._of_function_fixtures if fixturedef.scope == "function" else self._of_wide_fixtures
        self._followers[fixturedef] = followers
        return followers


def _hear(
    told: _Told, stirred: Collection[Guard], item: pytest.Item, phase: Phase, error: BaseException | None
) -> BaseException | None:
    for guard in told.end:
        if guard in stirred:
            error = guard.end_phase(item, phase, error)
    return error
