"""A test case, its attempts and what went wrong in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

DEFAULT_CONFIGURATION = "default"
"""Name of the configuration of a run that declares none."""


class Outcome(StrEnum):
    """What became of one attempt or one test case. A failure is the test's no; an error is something around it."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    LOST = "lost"

    @property
    def is_green(self) -> bool:
        """Whether a run may pass with it: passed, skipped or xfailed."""
        return self._value_ in _GREEN  # by its value: an enum's own hash is computed anew each time

    @property
    def is_executed(self) -> bool:
        """Whether the test's own code ran to an end of its own: not skipped, not lost."""
        return self._value_ not in _NOT_EXECUTED


_GREEN = frozenset({Outcome.PASSED.value, Outcome.SKIPPED.value, Outcome.XFAILED.value})
_NOT_EXECUTED = frozenset({Outcome.SKIPPED.value, Outcome.LOST.value})


class Phase(StrEnum):
    """The part of a test's life in which something happened."""

    COLLECT = "collect"
    SETUP = "setup"
    CALL = "call"
    TEARDOWN = "teardown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One traceback entry. ``path`` is relative to the project where it lies inside it."""

    path: str
    line: int
    function: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionLink:
    """One exception of a ``__cause__``/``__context__`` chain."""

    type_name: str
    message: str
    frame: Frame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one phase of one attempt did not pass.

    ``chain`` runs from the exception that pytest saw to its root cause, so ``chain[-1]`` is the root.
    ``text`` is the whole traceback as pytest renders it. ``fixture`` is set when a fixture raised. ``calls`` are the functions of
    the project that the failed code refers to and that those refer to: ``caller callee callee …``, each ``module.function``.
    """

    phase: Phase
    type_name: str
    message: str
    text: str = ""
    frame: Frame | None = None
    chain: tuple[ExceptionLink, ...] = ()
    fixture: str | None = None
    fixture_scope: str | None = None
    fixture_path: str | None = None
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """What outlived its test: its kind (``task``, ``thread``, …), what it is and where it was made."""

    kind: str
    what: str
    created: Frame | None = None
    created_stack: str = ""
    owner: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One execution of a test case. Durations in seconds; ``stacks`` is what a watchdog saw when time ran out."""

    outcome: Outcome
    number: int = 1
    duration_s: float = 0.0
    setup_s: float = 0.0
    call_s: float = 0.0
    teardown_s: float = 0.0
    shard: str = "1/1"
    run_attempt: int = 1
    worker: str = ""
    started_at: float = 0.0
    failures: tuple[Failure, ...] = ()
    leaks: tuple[Leak, ...] = ()
    reason: str = ""
    stacks: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test and all its attempts, oldest first; the last one decides. Identity is (configuration, test ID)."""

    test_id: str
    attempts: tuple[Attempt, ...]
    configuration: str = DEFAULT_CONFIGURATION

    @property
    def outcome(self) -> Outcome:
        """The last attempt's outcome; lost when there is no attempt."""
        return self.attempts[-1].outcome if self.attempts else Outcome.LOST

    @property
    def is_flaky(self) -> bool:
        """Whether it passed after a failed attempt."""
        return self.outcome is Outcome.PASSED and any(not attempt.outcome.is_green for attempt in self.attempts[:-1])

    @property
    def duration_s(self) -> float:
        """Seconds of the deciding attempt, set-up and tear-down included."""
        return self.attempts[-1].duration_s if self.attempts else 0.0
