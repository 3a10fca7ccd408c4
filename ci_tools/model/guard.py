"""The guards' settings: how long a test may take, what may outlive it, and what a breach does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class GuardMode(StrEnum):
    """What a finding of a guard does to the test: fails it, is said, or is not looked for."""

    ERROR = "error"
    WARN = "warn"
    OFF = "off"


LEAK_KINDS = {
    "task": GuardMode.ERROR,
    "exception": GuardMode.ERROR,
    "coroutine": GuardMode.ERROR,
    "generator": GuardMode.ERROR,
    "timer": GuardMode.ERROR,
    "loop": GuardMode.ERROR,
    "thread": GuardMode.ERROR,
    "process": GuardMode.ERROR,
    "connection": GuardMode.ERROR,
    "file": GuardMode.ERROR,
    "descriptor": GuardMode.ERROR,
    "temporary": GuardMode.ERROR,
    "working_tree": GuardMode.OFF,  # reports and snapshots are written there on purpose, and other workers write too
    "environment": GuardMode.ERROR,
    "patch": GuardMode.ERROR,
    "service_setting": GuardMode.ERROR,
    "service_transaction": GuardMode.ERROR,
    "service_subscription": GuardMode.ERROR,
    "service_lock": GuardMode.ERROR,
    "service_key": GuardMode.OFF,  # many suites empty the server before a test and not after it
    "seed": GuardMode.OFF,  # seeding is how many suites make themselves repeatable
}
"""What the guards look for after each test, and what a finding does unless the configuration says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardPolicy:
    """Settings of all guards. Times in seconds; ``leaks`` maps a kind (``task``, ``thread``, …) to its mode.

    ``timeout_s`` is the budget of one test where pytest-timeout's own mark, option or ini key gives none; 0 means none.
    ``grace_s`` is how long a test that was asked to end gets before its worker is ended.
    ``teardown_s`` is the budget of tear-down after its test timed out.
    ``silence_s`` is how long a worker may say nothing before the supervisor ends it (0: derived from ``timeout_s``).
    ``phases`` maps a phase of a test (``setup``, ``call``, ``teardown``) to a budget of its own, within the test's.
    ``file_s`` is the budget of all tests of one file in one worker, ``collection_s`` that of one file's import and collection;
    0 means none. A test that takes longer than ``slow_s`` is said to be slow and nothing else.
    ``allowed_leaks`` maps a kind to patterns over a finding's text: what one of them matches may be left by every test.
    ``markers`` are those that a policy of the gate requires: which tests have them is written down.
    ``services`` maps a folder to the services that every test below it declares, as the mark does.
    """

    timeout_s: float = 60.0
    grace_s: float = 2.0
    teardown_s: float = 10.0
    silence_s: float = 0.0
    exit_s: float = 10.0
    phases: Mapping[str, float] = field(default_factory=dict)
    file_s: float = 0.0
    collection_s: float = 300.0
    slow_s: float = 30.0
    services: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leaks: Mapping[str, GuardMode] = field(default_factory=lambda: dict(LEAK_KINDS))
    allowed_leaks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    evidence: GuardMode = GuardMode.ERROR
    markers: tuple[str, ...] = ()
    is_journal_on: bool = True
