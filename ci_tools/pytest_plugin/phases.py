"""Phases: the one place that follows a test from phase to phase and tells the guards."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.failures import Project, RaisingFixture, blame_fixture
from ci_tools.pytest_plugin.guard import EACH_PHASE, Guard
from ci_tools.pytest_plugin.position import Position, test_id_of
from ci_tools.pytest_plugin.recording import Recording


@dataclass(frozen=True, slots=True)
class _Told:
    """One phase, and who is told that it begins and, in reverse, that it is over."""

    phase: Phase
    begin: tuple[Callable[[pytest.Item, Phase], None], ...]
    end: tuple[Callable[[pytest.Item, Phase, BaseException | None], BaseException | None], ...]

    @classmethod
    def of(cls, guards: Sequence[Guard], phase: Phase) -> "_Told":
        """Of these guards those to whom this phase means something."""
        return cls(
            phase,
            tuple(
                guard.begin_phase
                for guard in guards
                if phase in guard.begins_in and type(guard).begin_phase is not Guard.begin_phase
            ),
            tuple(
                guard.end_phase
                for guard in reversed(guards)
                if phase in guard.ends_in and type(guard).end_phase is not Guard.end_phase
            ),
        )


class Phases:
    """Outermost around every phase of every test."""

    def __init__(self, position: Position, recording: Recording, project: Project, guards: tuple[Guard, ...]) -> None:
        self._position = position
        self._recording = recording
        self._project = project
        # Only who has something to do is asked: this runs for every phase and fixture of every test.
        self._begin_test = [guard.begin_test for guard in guards if type(guard).begin_test is not Guard.begin_test]
        self._setup, self._call, self._teardown = (_Told.of(guards, phase) for phase in EACH_PHASE)
        self._begin_fixture = [guard.begin_fixture for guard in guards if type(guard).begin_fixture is not Guard.begin_fixture]
        self._end_fixture = [guard.end_fixture for guard in reversed(guards) if type(guard).end_fixture is not Guard.end_fixture]
        self._finish_fixture = [
            guard.finish_fixture for guard in guards if type(guard).finish_fixture is not Guard.finish_fixture
        ]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, bool | None, bool | None]:
        """From here on this is the current test."""
        self._position.item = item
        self._position.test_id = test_id_of(item)
        try:
            return (yield)
        finally:
            self._position.leave()
            self._position.item = None
            self._position.test_id = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Begin an execution and its set-up."""
        self._position.execution = self._recording.begin(item).number
        for begin_test in self._begin_test:
            begin_test(item)
        return (yield from self._around(item, self._setup))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """The test itself."""
        return (yield from self._around(item, self._call))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        """Tear-down, of wider fixtures too after the last test that needs them."""
        return (yield from self._around(item, self._teardown))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """Know which fixture is being set up, and note it on what it raises."""
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
        for finish_fixture in self._finish_fixture:
            finish_fixture(fixturedef)

    def _around(self, item: pytest.Item, told: "_Told") -> Generator[None, object, object]:
        phase = told.phase
        self._position.enter(phase)
        result: object = None
        error: BaseException | None = None
        try:
            for begin_phase in told.begin:
                begin_phase(item, phase)
            result = yield
        except BaseException as raised:  # noqa: BLE001 - raised again below, or replaced by a guard's finding
            error = raised
        outcome = error
        self._position.examined_at = time.monotonic()
        for end_phase in told.end:
            outcome = end_phase(item, phase, outcome)
        self._position.leave()
        if outcome is None:
            return result
        raise outcome
