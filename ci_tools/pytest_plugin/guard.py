"""A guard: watches one test from inside the process."""

from typing import ClassVar

import pytest

from ci_tools.model.case import Phase

EACH_PHASE = (Phase.SETUP, Phase.CALL, Phase.TEARDOWN)


class Guard:
    """What a guard is told. Every method runs in the main thread, inside the phase it names; by default it does nothing."""

    begins_in: tuple[Phase, ...] = EACH_PHASE
    """The phases whose beginning means something to it: it is told of no other."""
    ends_in: ClassVar[tuple[Phase, ...]] = EACH_PHASE
    """The phases whose end does."""
    mark: ClassVar[str] = ""
    """A test without this mark means nothing to it: it is told of no phase of such a test."""
    quiet_ends_in: tuple[Phase, ...] = EACH_PHASE
    """Of ``ends_in``, the phases whose end means something to it also where all is quiet: no error, no owner that is over has
    left anything, and no guard has stirred."""
    follows_function_fixtures: ClassVar[bool] = True
    """Whether it is told of fixtures that end with their test."""

    def note_modules(self) -> None:
        """Modules have been loaded since the phase before: patch those that this guard waits for."""

    def begin_test(self, item: pytest.Item) -> None:
        """An execution's set-up is about to begin."""

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """A phase begins."""

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """A phase is over: the exception that it shall end with, ``error`` itself where the guard has nothing to say."""
        return error

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """A fixture's set-up begins."""

    def end_fixture(self, fixturedef: pytest.FixtureDef[object], value: object, *, is_up: bool) -> None:
        """A fixture's set-up is over; ``is_up`` when it gave a value."""

    def finish_fixture(self, fixturedef: pytest.FixtureDef[object]) -> None:
        """A fixture has been torn down."""

    def remove(self) -> None:
        """The session is over: put back what was patched."""
