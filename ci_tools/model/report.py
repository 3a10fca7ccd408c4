"""What one shard said (shard report) and all of them merged (run report)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ci_tools.model.case import DEFAULT_CONFIGURATION, Case, Failure, Outcome
from ci_tools.model.service import Provenance

REPORT_VERSION = 1


class EndedBy(StrEnum):
    """Why a worker is no longer there."""

    ITSELF = "itself"
    SIGNAL = "signal"
    TEST_DEADLINE = "test_deadline"
    SILENCE = "silence"
    RUN_DEADLINE = "run_deadline"
    INTERRUPT = "interrupt"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerExit:
    """How one worker process ended. ``returncode`` is negative for a signal; ``finished_session`` is the end marker."""

    worker: str
    returncode: int
    ended_by: EndedBy
    finished_session: bool
    duration_s: float
    command: tuple[str, ...] = ()
    output_tail: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionError:
    """A file that could not be collected: its tests are unknown, so nothing can make up for it."""

    path: str
    failure: Failure
    shard: str = "1/1"
    configuration: str = DEFAULT_CONFIGURATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What a shard spent around its tests, in seconds: on importing each file, and on fixtures wider than one test.

    ``setups`` is, by test ID, the part of its set-up that made such fixtures; ``fixtures`` the same by file, and for fixtures of
    the session or a package, which belong to no file, by themselves: ``tests::database``.
    """

    imports: Mapping[str, float] = field(default_factory=dict)
    setups: Mapping[str, float] = field(default_factory=dict)
    fixtures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardReport:
    """What one attempt of one shard did.

    ``shard`` is ``2/4``, or ``file:<name>`` for a foreign report that says no shard. ``plan_digest`` is the plan's
    ``expected_digest``; ``expected_digest`` is over the test IDs that this shard was to run. ``corrupt`` holds the
    reasons why its files cannot be trusted whole, ``warnings`` what is odd in them and harmless. ``digest`` is the
    sha256 of the file it was read from, ``declared_tests`` what a foreign file says it holds.
    """

    run_id: str
    shard: str
    cases: tuple[Case, ...]
    version: int = REPORT_VERSION
    run_attempt: int = 1
    configuration: str = DEFAULT_CONFIGURATION
    commit: str = ""
    plan_digest: str = ""
    expected_digest: str = ""
    collection_errors: tuple[CollectionError, ...] = ()
    exits: tuple[WorkerExit, ...] = ()
    services: tuple[Provenance, ...] = ()
    corrupt: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    interrupted_by: str = ""
    started_at: float = 0.0
    duration_s: float = 0.0
    source: str = ""
    digest: str = ""
    declared_tests: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """All shards merged, every expected test accounted for exactly once.

    Lost tests are cases with outcome ``lost``. ``unexpected`` ran without being planned, ``duplicated`` ran in more than
    one shard (``strays`` are the results that do not count), ``missing_shards`` sent no report, ``repeated_inputs`` were
    given more than once (and counted once).
    ``problems`` are contradictions between reports and plan (another run, commit or plan). ``shards`` are the reports
    without their cases: each attempt in ``cases`` says which shard and which run attempt it came from.
    ``is_complete_proven`` is false without a plan. ``is_planned_empty`` says that plans give tests to other shards and
    none to those that are asked for here.
    """

    run_id: str
    cases: tuple[Case, ...]
    version: int = REPORT_VERSION
    commit: str = ""
    plan_digest: str = ""
    is_complete_proven: bool = False
    is_planned_empty: bool = False
    expected: int = 0
    shards: tuple[ShardReport, ...] = ()
    collection_errors: tuple[CollectionError, ...] = ()
    missing_shards: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    duplicated: tuple[str, ...] = ()
    strays: tuple[Case, ...] = ()
    repeated_inputs: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    expected_shards: tuple[str, ...] = ()
    services: tuple[Provenance, ...] = ()
    interrupted_by: str = ""
    started_at: float = 0.0
    duration_s: float = 0.0

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many cases have each outcome; every outcome is a key."""
        counts = dict.fromkeys(Outcome, 0)
        for case in self.cases:
            counts[case.outcome] += 1
        return counts

    @property
    def flaky(self) -> tuple[Case, ...]:
        """The cases that passed after a failed attempt."""
        return tuple(case for case in self.cases if case.is_flaky)


def newest_of(reports: Iterable[ShardReport]) -> dict[tuple[str, str], ShardReport]:
    """The newest run attempt of each shard, by configuration and shard: how earlier ones ended is why they were run again."""
    found: dict[tuple[str, str], ShardReport] = {}
    for report in reports:
        key = (report.configuration, report.shard)
        found[key] = max(found.get(key, report), report, key=lambda item: item.run_attempt)
    return found
