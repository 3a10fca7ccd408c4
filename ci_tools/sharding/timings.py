"""Timings: what each test took in earlier runs, and what a run teaches about it. Pure.

A test keeps its latest samples, each with the time of the run it came from; its duration is their median. So one bad
run moves nothing, and a merge is the union of samples: in any order, any number of times, the result is the same.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from statistics import median

from ci_tools.errors import DecodeError
from ci_tools.model.case import DEFAULT_CONFIGURATION, Attempt, Case, Outcome
from ci_tools.model.codec import loads
from ci_tools.model.report import RunReport, ShardReport

TIMINGS_VERSION = 1
SAMPLES_KEPT = 5
"""The median of five shrugs two bad runs off, and follows a real change after three."""
MAX_AGE_S = 90 * 86_400
"""What was not seen in a quarter is gone or was renamed."""
MAX_DURATION_S = 7 * 86_400
"""Longer than any test: a clock jumped."""

_KNOWN_ENOUGH_S = 0.01
"""Shorter tests are mostly noise, so a machine's speed is not read from them."""
_TESTS_FOR_SPEED = 5
_SPEED_LIMIT = 20.0
_WHOLE_SUITE = 0.8
_LEARNED = frozenset({Outcome.PASSED, Outcome.XFAILED, Outcome.SKIPPED})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Sample:
    """One execution: Unix second at which its run started, and seconds of its phases at the suite's usual speed."""

    at: int
    setup_s: float = 0.0
    call_s: float = 0.0
    teardown_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """All three phases."""
        return self.setup_s + self.call_s + self.teardown_s


@dataclass(frozen=True, slots=True, kw_only=True)
class TestTiming:
    """The latest samples of one test, oldest first; at least one."""

    __test__ = False
    samples: tuple[Sample, ...]

    @property
    def duration_s(self) -> float:
        """Median seconds of a whole execution; not a number where no sample has a duration.

        One that is not a number has no place in an order: where it comes to stand differs from Python to Python.
        """
        found = [seconds for sample in self.samples if (seconds := sample.duration_s) >= 0]
        return median(found) if found else math.nan

    @property
    def setup_s(self) -> float:
        """Median seconds of set-up."""
        return median(sample.setup_s for sample in self.samples)

    @property
    def call_s(self) -> float:
        """Median seconds of the test's own body."""
        return median(sample.call_s for sample in self.samples)

    @property
    def teardown_s(self) -> float:
        """Median seconds of tear-down."""
        return median(sample.teardown_s for sample in self.samples)

    @property
    def last_seen(self) -> int:
        """Unix second of the latest run it comes from."""
        return self.samples[-1].at


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Past durations by configuration and test ID; by configuration and file those of its import and of its wider fixtures.

    Where such fixtures (of a class or module) were measured a test's own set-up is without them. Those of the session or a
    package stand under their own names: ``tests::database``.
    """

    version: int = TIMINGS_VERSION
    tests: Mapping[str, Mapping[str, TestTiming]] = field(default_factory=dict)
    imports: Mapping[str, Mapping[str, TestTiming]] = field(default_factory=dict)
    fixtures: Mapping[str, Mapping[str, TestTiming]] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "Timings":
        """Timings of a suite that never ran."""
        return cls()

    def of(self, configuration: str = DEFAULT_CONFIGURATION) -> Mapping[str, TestTiming]:
        """Timings by test ID in one configuration."""
        return self.tests.get(configuration, {})

    def imports_of(self, configuration: str = DEFAULT_CONFIGURATION) -> Mapping[str, TestTiming]:
        """What importing each file took, by path, in one configuration; ``call_s`` holds it."""
        return self.imports.get(configuration, {})

    def fixtures_of(self, configuration: str = DEFAULT_CONFIGURATION) -> Mapping[str, TestTiming]:
        """What setting up the wider fixtures of each file, and each of the session's, took; ``call_s`` holds it."""
        return self.fixtures.get(configuration, {})


def learn(
    timings: Timings,
    report: RunReport | ShardReport | Sequence[ShardReport],
    *,
    at: float | None = None,
    max_age_s: float = MAX_AGE_S,
) -> Timings:
    """``timings`` with what this run teaches, also when it was red or partial.

    Only first executions that passed, xfailed or were skipped count: a failure ends early, a rerun runs warm. Each shard's
    seconds are divided by how much slower its machine was, so that weights from an overloaded shard don't make the
    next plan swing. What was measured around the tests (imports, wider fixtures) is taken from the shards' costs, and a set-up
    counts without such fixtures. ``at`` is the run's Unix time where the report has none.
    """
    cases, started_at = _cases_of(report)
    stamp = int(started_at or at or 0)
    executed = [(case, attempt) for case in cases if (attempt := _lesson(case)) is not None]
    speeds = _speeds(timings, executed)
    tests = {name: dict(entries) for name, entries in timings.tests.items()}
    shards = _shards_of(report)
    setups = {
        (shard.configuration, shard.shard, test_id): seconds
        for shard in shards
        for test_id, seconds in shard.costs.setups.items()
    }
    for case, attempt in executed:
        speed = speeds[case.configuration, attempt.shard]
        sample = _sample(attempt, stamp, speed, setups.get((case.configuration, attempt.shard, case.test_id), 0.0))
        if sample is not None:
            known = tests.setdefault(case.configuration, {})
            known[case.test_id] = _joined(known.get(case.test_id), TestTiming(samples=(sample,)))
    imports = {name: dict(entries) for name, entries in timings.imports.items()}
    fixtures = {name: dict(entries) for name, entries in timings.fixtures.items()}
    for shard in shards:
        speed = speeds.get((shard.configuration, shard.shard), 1.0)
        for kept, measured in ((imports, shard.costs.imports), (fixtures, shard.costs.fixtures)):
            known = kept.setdefault(shard.configuration, {})
            for path, seconds in measured.items():
                if _is_duration(seconds):
                    sample = Sample(at=stamp, call_s=_rounded(seconds / speed))
                    known[path] = _joined(known.get(path), TestTiming(samples=(sample,)))
    return _aged(Timings(tests=tests, imports=imports, fixtures=fixtures), max_age_s)


def merge(*many: Timings, max_age_s: float = MAX_AGE_S) -> Timings:
    """All samples of all timings, the latest of each test kept. Order and repetition of the arguments do not matter."""
    tests: dict[str, dict[str, TestTiming]] = {}
    imports: dict[str, dict[str, TestTiming]] = {}
    fixtures: dict[str, dict[str, TestTiming]] = {}
    for timings in many:
        for merged, source in ((tests, timings.tests), (imports, timings.imports), (fixtures, timings.fixtures)):
            for configuration, entries in source.items():
                known = merged.setdefault(configuration, {})
                for name, timing in entries.items():
                    known[name] = _joined(known.get(name), timing)
    return _aged(Timings(tests=tests, imports=imports, fixtures=fixtures), max_age_s)


def from_pairs(pairs: Iterable[tuple[str, float]], *, configuration: str = DEFAULT_CONFIGURATION, at: float = 0.0) -> Timings:
    """Timings from (test ID, seconds) of elsewhere: a JUnit file, pytest-split's ``.test_durations``.

    A test ID that comes several times (reruns, several files of one run) counts with its median.
    """
    seconds_of: dict[str, list[float]] = {}
    for test_id, seconds in pairs:
        if _is_duration(seconds):
            seconds_of.setdefault(test_id, []).append(seconds)
    tests = {
        test_id: TestTiming(samples=(Sample(at=int(at), call_s=_rounded(median(found))),))
        for test_id, found in seconds_of.items()
    }
    return Timings(tests={configuration: tests} if tests else {})


def digest(timings: Timings) -> str:
    """Digest over everything a plan reads from the timings; equal timings give equal digests."""
    return "sha256:" + hashlib.sha256(render_timings(timings).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """The file's form: by configuration and name one flat row, four numbers a sample: at, setup, call, teardown."""

    version: int = TIMINGS_VERSION
    tests: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    imports: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    fixtures: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


_ROW = 4


def render_timings(timings: Timings) -> str:
    """JSON text, deterministic: keys sorted, one row of numbers a test."""

    def rows(source: Mapping[str, Mapping[str, TestTiming]]) -> dict[str, dict[str, object]]:
        return {
            configuration: {
                name: [number for sample in timing.samples for number in _row(sample)] for name, timing in entries.items()
            }
            for configuration, entries in source.items()
        }

    # By hand for speed: a suite of 100,000 tests is rendered in 0.2 s. The codec's canonical form, all numbers are finite.
    stored = {
        "version": timings.version,
        "tests": rows(timings.tests),
        "imports": rows(timings.imports),
        "fixtures": rows(timings.fixtures),
    }
    return json.dumps(stored, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def parse_timings(text: str | bytes, *, where: str = "timings") -> Timings:
    """The timings of a file's text; DecodeError when it is cut, foreign or newer than this version."""
    stored = loads(_Stored, text, where=where)
    if stored.version > TIMINGS_VERSION:
        what = f"{where} has version {stored.version}, this ci-tools knows {TIMINGS_VERSION}"
        raise DecodeError(what, hint="leave the file out (the plan is then made without timings) or update ci-tools")

    def timings(source: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, TestTiming]]:
        return {
            configuration: {name: _timing(row, f"{where}.{configuration}.{name}") for name, row in entries.items()}
            for configuration, entries in source.items()
        }

    return Timings(tests=timings(stored.tests), imports=timings(stored.imports), fixtures=timings(stored.fixtures))


def _row(sample: Sample) -> tuple[float, ...]:
    return (sample.at, sample.setup_s, sample.call_s, sample.teardown_s)


def _timing(row: object, where: str) -> TestTiming:
    if not isinstance(row, list) or not row or len(row) % _ROW or not all(map(_is_duration, row)):
        what = f"{where} is {row!r:.80}, expected {_ROW} numbers ≥ 0 a sample"
        raise DecodeError(what, hint="the file was changed by hand; remove it, the next run makes a new one")
    return TestTiming(
        samples=tuple(
            Sample(at=int(at), setup_s=setup_s, call_s=call_s, teardown_s=teardown_s)
            for at, setup_s, call_s, teardown_s in zip(*(row[start::_ROW] for start in range(_ROW)), strict=True)
        )
    )


def _cases_of(report: RunReport | ShardReport | Sequence[ShardReport]) -> tuple[Sequence[Case], float]:
    if isinstance(report, (RunReport, ShardReport)):
        return report.cases, report.started_at
    starts = [shard.started_at for shard in report if shard.started_at]
    return [case for shard in report for case in shard.cases], min(starts, default=0.0)


def _shards_of(report: RunReport | ShardReport | Sequence[ShardReport]) -> Sequence[ShardReport]:
    if isinstance(report, RunReport):
        return report.shards
    return (report,) if isinstance(report, ShardReport) else report


def _lesson(case: Case) -> Attempt | None:
    """The one execution of this case that tells how long it takes: the first, when nothing went wrong in it."""
    if not case.attempts:
        return None
    first = case.attempts[0]
    return first if first.outcome in _LEARNED and not first.leaks else None


def _sample(attempt: Attempt, at: int, speed: float, shared_s: float) -> Sample | None:
    phases = (attempt.setup_s, attempt.call_s, attempt.teardown_s)
    if not any(phases):
        phases = (0.0, attempt.duration_s, 0.0)
    if not all(map(_is_duration, phases)):
        return None
    called_s = max(shared_s - phases[0], 0.0)  # what the test's own body had set up, by getfixturevalue
    phases = (max(phases[0] - shared_s, 0.0), max(phases[1] - called_s, 0.0), phases[2])
    setup_s, call_s, teardown_s = (_rounded(seconds / speed) for seconds in phases)
    return Sample(at=at, setup_s=setup_s, call_s=call_s, teardown_s=teardown_s)


def _speeds(timings: Timings, executed: Sequence[tuple[Case, Attempt]]) -> dict[tuple[str, str], float]:
    """By (configuration, shard): how much slower than the suite's usual speed it was; 1 where too little is known.

    A run of (nearly) the whole suite may change the usual speed itself: then only the difference between its shards is taken out.
    """
    ratios: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for case, attempt in executed:
        pairs = ratios.setdefault((case.configuration, attempt.shard), [])
        known = timings.of(case.configuration).get(case.test_id)
        usual_s = known.duration_s if known is not None else 0.0
        if usual_s >= _KNOWN_ENOUGH_S and attempt.outcome is not Outcome.SKIPPED and _is_duration(attempt.duration_s):
            pairs.append((attempt.duration_s / usual_s, usual_s))
    speeds = {}
    for configuration in {key[0] for key in ratios}:
        of_run = {key: pairs for key, pairs in ratios.items() if key[0] == configuration}
        known_s = math.fsum(timing.duration_s for timing in timings.of(configuration).values())
        ran_s = math.fsum(usual_s for pairs in of_run.values() for _, usual_s in pairs)
        together = [pair for key in sorted(of_run) for pair in of_run[key]]
        run_speed = _speed(together) if ran_s >= _WHOLE_SUITE * known_s else 1.0
        for key, pairs in of_run.items():
            speeds[key] = _speed(pairs, otherwise=run_speed) / run_speed
    return speeds


def _speed(pairs: Sequence[tuple[float, float]], *, otherwise: float = 1.0) -> float:
    """Median of the ratios, each weighted by its usual seconds."""
    if len(pairs) < _TESTS_FOR_SPEED:
        return otherwise
    ordered = sorted(pairs)
    passed = accumulate(weight for _, weight in ordered)
    half = math.fsum(weight for _, weight in ordered) / 2
    ratio = next((ratio for (ratio, _), weight in zip(ordered, passed, strict=True) if weight >= half), otherwise)
    return min(max(ratio, 1 / _SPEED_LIMIT), _SPEED_LIMIT)


def _joined(known: TestTiming | None, new: TestTiming) -> TestTiming:
    if known is None or known == new:
        return new if len(new.samples) <= SAMPLES_KEPT else TestTiming(samples=new.samples[-SAMPLES_KEPT:])
    return TestTiming(samples=tuple(sorted({*known.samples, *new.samples})[-SAMPLES_KEPT:]))


def _aged(timings: Timings, max_age_s: float) -> Timings:
    """Without what was last seen more than ``max_age_s`` before the newest sample; what has no date stays."""

    def living(source: Mapping[str, Mapping[str, TestTiming]]) -> dict[str, dict[str, TestTiming]]:
        kept = {}
        for configuration, entries in source.items():
            newest = max((timing.last_seen for timing in entries.values()), default=0)
            kept[configuration] = {
                name: timing for name, timing in entries.items() if not timing.last_seen or newest - timing.last_seen <= max_age_s
            }
        return {configuration: entries for configuration, entries in kept.items() if entries}

    return Timings(tests=living(timings.tests), imports=living(timings.imports), fixtures=living(timings.fixtures))


def _is_duration(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _rounded(seconds: float) -> float:
    """To ten microseconds: finer is noise and makes the file grow."""
    return round(min(seconds, MAX_DURATION_S), 5)
