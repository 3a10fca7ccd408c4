"""The policy: what the gate asks of a run, profile by profile, and what it may forgive."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ci_tools.model.case import DEFAULT_CONFIGURATION, Outcome
from ci_tools.model.guard import GuardMode

BASELINE_VERSION = 1

DEFAULT_PROFILE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """One test that runs and does not gate, as long as it fails in the known way.

    ``test`` is a test ID, ``signature`` the ID of the cause it is known to fail with (``sig-v2:…``), ``expires`` an ISO
    date: the last day on which the entry counts. ``configuration`` is empty for all of them.
    """

    test: str
    signature: str
    owner: str
    reason: str
    issue: str
    expires: str
    configuration: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipReason:
    """A reason for which tests may be skipped: a shell pattern over the reason's text, with owner and last day."""

    pattern: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTest:
    """What the baseline remembers of one test: outcome, seconds, and the causes it failed with."""

    test_id: str
    outcome: Outcome
    duration_s: float = 0.0
    signatures: tuple[str, ...] = ()
    is_flaky: bool = False
    configuration: str = DEFAULT_CONFIGURATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the suite looked like on the default branch: the run against which new failures are new."""

    commit: str
    created_at: float
    tests: tuple[KnownTest, ...]
    version: int = BASELINE_VERSION
    run_id: str = ""
    duration_s: float = 0.0
    signatures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every threshold of the gate. ``None`` means that the rule shows its figure and limits nothing.

    Rates are shares of the *expected* tests, 0 to 1; times in seconds. ``required_tests`` are test IDs or shell
    patterns over them, each of which must be matched by a passed test; of each of ``required_markers`` (pytest's
    marks) there must be a test, and all that have it must have passed. ``skip_reasons`` empty allows any reason.
    """

    requires_plan: bool = False
    requires_baseline: bool = False
    max_report_age_s: float | None = None
    max_failures: int | None = 0
    max_errors: int | None = 0
    min_executed: int = 1
    max_executed_drop: float | None = None
    min_pass_rate: float | None = None
    max_skipped: int | None = None
    max_skipped_rate: float | None = None
    skip_reasons: tuple[SkipReason, ...] = ()
    xpassed: GuardMode = GuardMode.ERROR
    declared_tests: GuardMode = GuardMode.WARN
    max_flaky: int | None = None
    new_flaky: GuardMode = GuardMode.WARN
    hollow: GuardMode = GuardMode.WARN
    max_hollow: int = 0
    min_call_s: float = 0.0
    required_tests: tuple[str, ...] = ()
    required_markers: tuple[str, ...] = ()
    required_configurations: tuple[str, ...] = ()
    new_failures: GuardMode = GuardMode.ERROR
    new_causes: GuardMode = GuardMode.ERROR
    removed_tests: GuardMode = GuardMode.WARN
    newly_skipped: GuardMode = GuardMode.WARN
    max_regression_chance: float | None = None
    max_duration_s: float | None = None
    max_slowdown: float | None = None
    quarantine: tuple[QuarantineEntry, ...] = ()
    quarantine_cap: int = 10


RELEASE = Policy(
    requires_plan=True,
    max_flaky=0,
    new_flaky=GuardMode.ERROR,
    hollow=GuardMode.ERROR,
    removed_tests=GuardMode.ERROR,
    newly_skipped=GuardMode.ERROR,
    quarantine_cap=0,
)
"""What a release asks: a proven whole, no quarantine, no flaky test, nothing removed or newly skipped."""

PROFILES: Mapping[str, Policy] = MappingProxyType(
    {DEFAULT_PROFILE: Policy(), "pull-request": Policy(), "release": RELEASE},
)
"""The profiles that exist without configuration; ``[tool.ci-tools.gate.<profile>]`` starts from the one of its name."""
