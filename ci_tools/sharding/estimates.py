"""Estimates: what each test and file of this collection will cost, from timings where there are any. Pure.

Everything is in whole microseconds: integers add up to the same sum in any order, so plans agree everywhere.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from ci_tools.model.journal import ASKED_BY
from ci_tools.sharding.timings import MAX_DURATION_S, TestTiming, Timings

US = 1_000_000
FLOOR_US = 1_000
"""Runner and reporting cost about this much for a test that does nothing; so tests without weight spread by number."""
UNKNOWN_S = 0.1
"""A test's estimate where no test of the suite was ever timed: any value gives the same plan."""
UNKNOWN_IMPORT_S = 0.01
"""A file's import where none was ever timed: what compiling a short test module takes."""

SHARED_S = 0.05
"""A test whose set-up takes at least this, and this many times its neighbours', is taken to carry its file's fixtures."""
SHARED_TIMES = 4

_TAIL = 0.95
_NEIGHBOURS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """Microseconds by test ID, and by path what a shard pays once for a file it runs anything of.

    ``shared`` are, by path, the microseconds of setting up wider fixtures, and the test that carries them in its own duration
    (empty where they were measured apart). ``wide_us`` are those of each fixture of the session or a package that was measured,
    and ``wide`` by test ID which of them it needs: a shard pays once for each that any of its tests needs.
    ``timed`` are the tests with timings of their own, ``renamed`` those that took over an old ID's.
    """

    test_us: Mapping[str, int]
    overhead_us: Mapping[str, int]
    timed: frozenset[str]
    renamed: Mapping[str, str]
    shared: Mapping[str, tuple[str, int]]
    wide_us: Mapping[str, int] = field(default_factory=dict)
    wide: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    foreign_configuration: str = ""

    def test(self, test_id: str) -> int:
        """Microseconds of one test."""
        return self.test_us[test_id]

    def tests(self, test_ids: Iterable[str]) -> int:
        """Microseconds of these tests one after another."""
        return sum(map(self.test_us.__getitem__, test_ids))

    def overhead(self, path: str) -> int:
        """Microseconds that importing the file costs."""
        return self.overhead_us[path]

    def file(self, path: str, test_ids: Collection[str]) -> int:
        """Microseconds of importing the file and running these tests of it, its wider fixtures set up once."""
        return self.overhead_us[path] + self.tests(test_ids) + self.again(path, test_ids)

    def again(self, path: str, test_ids: Collection[str]) -> int:
        """Microseconds of wider fixtures that these tests need and that are booked on a test elsewhere."""
        carrier, us = self.shared.get(path, ("", 0))
        return us if us and test_ids and carrier not in test_ids else 0

    def wide_of(self, test_ids: Iterable[str]) -> frozenset[str]:
        """The fixtures of the session or a package that these tests need, of those that take time."""
        if not self.wide:
            return frozenset()
        return frozenset().union(*{self.wide.get(test_id, ()) for test_id in test_ids})

    def set_up(self, fixtures: Iterable[str]) -> int:
        """Microseconds of setting each of these up once."""
        return sum(map(self.wide_us.__getitem__, fixtures))


def estimate(
    files: Mapping[str, Sequence[str]],
    timings: Timings,
    *,
    configuration: str,
    fixtures: Mapping[str, tuple[str, ...]] | None = None,
) -> Estimates:
    """Estimates for ``files`` (test IDs by path), whose tests need these ``fixtures`` of the session or of packages.

    A test without timings gets those of the one vanished test of the same name (a renamed file), else the mean of its file's
    tests, else the suite's mean without its longest 5 %. A configuration that never ran borrows the best known one's.
    """
    source = configuration
    if not timings.of(configuration) and timings.tests:
        source = max(sorted(timings.tests), key=lambda name: len(timings.tests[name]))
    known = timings.of(source)
    collected = {test_id for ids in files.values() for test_id in ids}
    us_of = {test_id: us for test_id in collected if test_id in known and (us := _us(known[test_id])) is not None}
    typical = _typical(us_of.values() or (us for timing in known.values() if (us := _us(timing)) is not None))
    unknown = collected - us_of.keys()
    renamed = _renamed(unknown, known, collected) if unknown and known else {}
    test_us = dict(us_of)
    test_us.update((new, us) for new, old in renamed.items() if (us := _us(known[old])) is not None)
    if unknown:
        for ids in files.values():
            missing = [test_id for test_id in ids if test_id not in test_us]
            if missing:
                neighbours = [us_of[test_id] for test_id in ids if test_id in us_of]
                guess = sum(neighbours) // len(neighbours) if len(neighbours) >= _NEIGHBOURS else typical
                test_us.update(dict.fromkeys(missing, guess))
    measured = timings.fixtures_of(source)
    wide_us = {
        name: us for name in sorted(measured) if "::" in name and ASKED_BY not in name and (us := _us(measured[name], floor=0))
    }
    needs = _needs(files, measured, fixtures or {})
    wide = {test_id: taken for test_id, names in needs.items() if (taken := tuple(filter(wide_us.__contains__, names)))}
    return Estimates(
        test_us=test_us,
        overhead_us=_overheads(files, timings.imports_of(source)),
        timed=frozenset(us_of),
        renamed=renamed,
        shared={**_shared(files, known), **_measured(files, measured)},
        wide_us=wide_us,
        wide=wide,
        foreign_configuration="" if source == configuration else source,
    )


def _needs(
    files: Mapping[str, Sequence[str]], measured: Iterable[str], declared: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """By test ID the wider fixtures it needs: those it declares, and those that a test of its file asked for while it ran."""
    asked: dict[str, set[str]] = {}
    for name in measured:
        fixture, is_asked, path = name.partition(ASKED_BY)
        if is_asked and path in files:
            asked.setdefault(path, set()).add(fixture)
    needs = dict(declared)
    for path, names in asked.items():
        needs.update({test_id: tuple(sorted({*names, *declared.get(test_id, ())})) for test_id in files[path]})
    return needs


def _us(timing: TestTiming, *, floor: int = FLOOR_US) -> int | None:
    """Whole microseconds; None where a file changed by hand holds what is no duration."""
    seconds = timing.duration_s
    return max(round(min(seconds, MAX_DURATION_S) * US), floor) if seconds >= 0 else None


def _typical(durations_us: Iterable[int]) -> int:
    ordered = sorted(durations_us)
    if not ordered:
        return round(UNKNOWN_S * US)
    usual = ordered[: max(math.ceil(len(ordered) * _TAIL), 1)]
    return sum(usual) // len(usual)


def _renamed(unknown: Iterable[str], known: Mapping[str, TestTiming], collected: set[str]) -> dict[str, str]:
    """New ID → old ID, where exactly one vanished and one new test have the same name below their file."""
    old_of = _by_name(test_id for test_id in known if test_id not in collected)
    new_of = _by_name(unknown)
    return {new_of[name][0]: old_of[name][0] for name in sorted(new_of) if len(new_of[name]) == len(old_of.get(name, ())) == 1}


def _by_name(test_ids: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for test_id in test_ids:
        found.setdefault(test_id.partition("::")[2], []).append(test_id)
    found.pop("", None)
    return found


def _shared(files: Mapping[str, Sequence[str]], known: Mapping[str, TestTiming]) -> dict[str, tuple[str, int]]:
    """By path: the test whose set-up stands out, as a module's or class's first test does, and by how much."""
    shared = {}
    for path, ids in files.items():
        setups = sorted((known[test_id].samples[-1].setup_s, test_id) for test_id in ids if test_id in known)
        if len(setups) < _NEIGHBOURS:
            continue
        (most_s, carrier), usual_s = setups[-1], setups[len(setups) // 2][0]
        if most_s >= SHARED_S and most_s >= SHARED_TIMES * usual_s:
            shared[path] = (carrier, round(min(most_s - usual_s, MAX_DURATION_S) * US))
    return shared


def _measured(files: Mapping[str, Sequence[str]], fixtures: Mapping[str, TestTiming]) -> dict[str, tuple[str, int]]:
    """By path: the set-up of its wider fixtures, as they were booked on themselves; no test's duration holds any of it."""
    return {path: ("", us) for path in files if path in fixtures and (us := _us(fixtures[path], floor=0)) is not None and us > 0}


def _overheads(files: Mapping[str, Sequence[str]], imports: Mapping[str, TestTiming]) -> dict[str, int]:
    """Import time by path: its own, else the median of those known, else a constant.

    Never what this collection took: shards that plan for themselves measure different seconds and must get one plan.
    """
    known = {path: us for path in files if path in imports and (us := _us(imports[path], floor=0)) is not None}
    usual = int(median(known.values())) if known else round(UNKNOWN_IMPORT_S * US)
    return {path: known.get(path, usual) for path in files}
