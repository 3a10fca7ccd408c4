"""The static partition: which shard runs which tests, as a pure function of what was collected and of timings.

Units are files, because whoever runs one test of a file pays for importing all of it. Only a file too heavy for an even
spread is cut, along class, function and parameter boundaries. Units go longest first to the least loaded shard. All
arithmetic is in whole microseconds, all ties are broken by ID: the same inputs give the same plan in any order of
collection, on every machine.
"""

import math
import re
from collections.abc import Mapping, Sequence

from ci_tools.errors import UsageError
from ci_tools.model.case import DEFAULT_CONFIGURATION
from ci_tools.model.shard import Plan, Shard, ShardRef, Unit, digest_of
from ci_tools.model.worker import Collected, FileOrder
from ci_tools.sharding.estimates import US, Estimates, estimate
from ci_tools.sharding.pieces import Piece, clusters_of, joined_files
from ci_tools.sharding.placement import even_out, loads_of, place_longest_first, place_steadily
from ci_tools.sharding.timings import Timings, digest

CUT_SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)
"""A file above this share of one shard's fair part is cut. The first share that comes close to the bound is taken: finer
cuts spread better and import more."""
CLOSE = 1.01
"""Times the bound: closer than this a plan is not worth another import."""

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{6,}")  # as in repr(object())


def partition(
    collected: Collected,
    timings: Timings,
    count: int,
    *,
    commit: str,
    configuration: str = DEFAULT_CONFIGURATION,
    filters: Sequence[str] = (),
    processes: int = 1,
    cut_shares: Sequence[float] = CUT_SHARES,
    bias_s: Mapping[int, float] | None = None,
) -> Plan:
    """The plan over ``count`` shards: every collected test in exactly one of them.

    ``processes`` is how many pytest-xdist workers run inside a shard (it divides predictions), ``bias_s`` gives shards by
    index seconds of other work. Broken files are units without tests, so that one shard reports their error. UsageError
    for a count below 1.
    """
    if count < 1:
        what = f"the number of shards is {count}, expected at least 1"
        raise UsageError(what, hint="leave --shards out to run everything in one")
    files, twice = _files_of(collected)
    costs = estimate(files, timings, configuration=configuration, fixtures=collected.fixtures)
    bias = {index: round(max(seconds, 0.0) * US) for index, seconds in (bias_s or {}).items() if math.isfinite(seconds)}
    placed = _best(files, collected, costs, count, cut_shares, bias)
    shards = tuple(
        _shard(ShardRef(index=index, count=count), pieces, costs, max(processes, 1), collected.services)
        for index, pieces in enumerate(placed, start=1)
    )
    expected = [test_id for ids in files.values() for test_id in ids]
    return Plan(
        commit=commit,
        configuration=configuration,
        filters=tuple(filters),
        shards=shards,
        expected_digest=digest_of(expected),
        timings_digest=digest(timings),
        broken_files=_broken_files(collected),
        notes=_notes(shards, costs, twice),
        seed=collected.seed,
        groups=collected.groups,
        facts=_facts(files, shards, costs, max(processes, 1)),
    )


def orders_for(plan: Plan, ref: ShardRef) -> tuple[FileOrder, ...]:
    """What the worker of this shard is told, by path: the files to run and which tests of each."""
    everywhere: dict[str, list[str]] = {}
    for shard in plan.shards:
        for unit in shard.units:
            everywhere.setdefault(unit.path, []).extend(unit.test_ids)
    here: dict[str, list[str]] = {}
    for unit in plan.shard(ref).units:
        here.setdefault(unit.path, []).extend(unit.test_ids)
    return tuple(
        FileOrder(path=path, expected_digest=digest_of(everywhere[path]), test_ids=tuple(ids))
        for path, ids in sorted(here.items())
    )


def _files_of(collected: Collected) -> tuple[dict[str, tuple[str, ...]], int]:
    """Test IDs by path, both sorted, each ID once and under one path; and how many came twice."""
    path_of: dict[str, str] = {}
    seen = 0
    for path in sorted(collected.paths):
        for test_id in collected.paths[path]:
            seen += 1
            path_of.setdefault(test_id, path)
    for test_id in collected.test_ids:
        path_of.setdefault(test_id, test_id.split("::", 1)[0])
    files: dict[str, list[str]] = {}
    for test_id in sorted(path_of):
        files.setdefault(path_of[test_id], []).append(test_id)
    for path in _broken_files(collected):
        files.setdefault(path, [])
    return {path: tuple(files[path]) for path in sorted(files)}, max(seen - len(path_of), 0)


def _broken_files(collected: Collected) -> tuple[str, ...]:
    """The files, sorted, of everything that could not be collected: a class that is broken breaks its file."""
    return tuple(sorted({node.split("::", 1)[0] for node in collected.broken}))


def _best(
    files: Mapping[str, tuple[str, ...]],
    collected: Collected,
    costs: Estimates,
    count: int,
    cut_shares: Sequence[float],
    bias: Mapping[int, int],
) -> list[list[Piece]]:
    """The placement with the coarsest cuts that is close to the bound, else the one whose heaviest shard is lightest."""
    weights = {path: costs.file(path, ids) for path, ids in files.items()}
    total = sum(weights.values())
    longest = max(costs.test_us.values(), default=0)
    everywhere, once = _wide_us(files, costs)
    bound = max((total + once + sum(bias.values())) // count + everywhere, longest, *bias.values(), 1)
    joined = joined_files(files, collected.groups)
    best: tuple[int, list[list[Piece]]] | None = None
    for share in cut_shares:
        cap = max(int(total * share) // count, 1)
        clusters = clusters_of(files, joined, collected.groups, costs, count, cap)
        steady = place_steadily(clusters, costs, count, bias, bound) if bound > longest and count > 1 else None
        if steady is not None:
            return steady
        tried = [place_longest_first(clusters, costs, count, bias, most=most) for most in ((bound, 0) if costs.wide else (0,))]
        evened = [even_out(placed, costs, bias, bound) for placed in tried]
        placed = min(evened, key=lambda placed: max(loads_of(placed, costs, bias)))
        heaviest = max(loads_of(placed, costs, bias))
        if best is None or heaviest * CLOSE < best[0]:
            best = heaviest, placed
        if count == 1 or best[0] <= bound * CLOSE:
            break
    return best[1] if best else [[] for _ in range(count)]


def _wide_us(files: Mapping[str, Sequence[str]], costs: Estimates) -> tuple[int, int]:
    """Microseconds of the session's fixtures: what every shard pays, for all tests need it, and the rest, paid once at least."""
    if not costs.wide:
        return 0, 0
    sets = {frozenset(costs.wide.get(test_id, ())) for ids in files.values() for test_id in ids}
    everywhere = frozenset.intersection(*sets)
    return costs.set_up(everywhere), costs.set_up(frozenset.union(*sets) - everywhere)


def _shard(
    ref: ShardRef, pieces: Sequence[Piece], costs: Estimates, processes: int, services: Mapping[str, tuple[str, ...]]
) -> Shard:
    """The shard's units, one a file, heaviest first."""
    ids_of: dict[str, list[str]] = {}
    for piece in pieces:
        ids_of.setdefault(piece.path, []).extend(test_id for atom in piece.atoms for test_id in atom.ids)
    weighed = sorted((-costs.file(path, ids), path, tuple(sorted(ids))) for path, ids in ids_of.items())
    units = tuple(
        Unit(path=path, test_ids=ids, estimate_s=-weight / US, samples=sum(test_id in costs.timed for test_id in ids))
        for weight, path, ids in weighed
    )
    needed = {service for ids in ids_of.values() for test_id in ids for service in services.get(test_id, ())} if services else ()
    wide = costs.wide_of(test_id for ids in ids_of.values() for test_id in ids)
    return Shard(
        ref=ref,
        units=units,
        predicted_s=(_predicted_us(weighed, costs, processes) + costs.set_up(wide)) / US,
        services=tuple(sorted(needed)),
        fixtures={name: costs.wide_us[name] / US for name in sorted(wide)},
    )


def _predicted_us(weighed: Sequence[tuple[int, str, tuple[str, ...]]], costs: Estimates, processes: int) -> int:
    """Microseconds of the shard without the session's fixtures: each pytest-xdist worker imports every file, runs some tests."""
    imports = sum(costs.overhead(path) for _, path, _ in weighed)
    tests = -sum(weight for weight, _, _ in weighed) - imports
    longest = max((costs.test(test_id) for _, _, ids in weighed for test_id in ids), default=0)
    return imports + max(-(-tests // processes), longest)


def is_unstable(test_id: str) -> bool:
    """Whether it holds a memory address and is another one in each process."""
    return "0x" in test_id and _ADDRESS.search(test_id) is not None


def _notes(shards: Sequence[Shard], costs: Estimates, twice: int) -> tuple[str, ...]:
    notes = []
    empty = [str(shard.ref) for shard in shards if shard.is_empty]
    if empty:
        filled = len(shards) - len(empty)
        which = empty[0] if len(empty) == 1 else f"{empty[0]} to {empty[-1]}"
        notes.append(f"the suite has {filled} separable piece(s) for {len(shards)} shards: nothing is planned for {which}")
    if twice:
        notes.append(f"{twice} test ID(s) were collected more than once: each is planned once")
    addresses = sorted(filter(is_unstable, costs.test_us))
    if addresses:
        notes.append(
            f"{len(addresses)} test ID(s) hold a memory address and change with every process, so no shard can be given them:"
            f" give their parametrize ids= (first: {addresses[0]})"
        )
    if costs.renamed:
        notes.append(f"{len(costs.renamed)} test(s) have the timings of a vanished test of the same name (renamed file)")
    if costs.foreign_configuration:
        notes.append(f"this configuration has no timings yet: those of {costs.foreign_configuration!r} are used")
    return tuple(notes)


def _facts(files: Mapping[str, Sequence[str]], shards: Sequence[Shard], costs: Estimates, processes: int) -> dict[str, str]:
    """What the plan rests on, for people: totals, spread, bound and what is unknown."""
    longest = max(costs.test_us, key=lambda test_id: (costs.test(test_id), test_id), default="")
    longest_us = costs.test(longest) if longest else 0
    total_us = sum(costs.tests(ids) for ids in files.values())
    imports_us = sum(costs.overhead_us.values())
    everywhere, once = _wide_us(files, costs)
    bound_us = max((imports_us + once + total_us // processes) // len(shards) + everywhere, longest_us)
    heaviest_s = max((shard.predicted_s for shard in shards), default=0.0)
    copies, copies_us = _copies(shards, costs)
    return {
        "tests": str(len(costs.test_us)),
        "files": str(len(files)),
        "file_parts": str(sum(len(shard.units) for shard in shards)),
        "without_timings": str(len(costs.test_us) - len(costs.timed) - len(costs.renamed)),
        "processes": str(processes),
        "total_s": f"{total_us / US:.3f}",
        "import_s": f"{imports_us / US:.3f}",
        "fixture_copies": str(copies),
        "fixture_copies_s": f"{copies_us / US:.3f}",
        "session_fixtures_s": f"{sum(sum(shard.fixtures.values()) for shard in shards):.3f}",
        "longest_test": longest,
        "longest_test_s": f"{longest_us / US:.3f}",
        "bound_s": f"{bound_us / US:.3f}",
        "heaviest_s": f"{heaviest_s:.3f}",
        "lightest_s": f"{min((shard.predicted_s for shard in shards if not shard.is_empty), default=0.0):.3f}",
    }


def _copies(shards: Sequence[Shard], costs: Estimates) -> tuple[int, int]:
    """How often the fixtures of a file are set up once more because the file was cut, and the microseconds of that."""
    copies = copies_us = 0
    seen: set[str] = set()
    for unit in (unit for shard in shards for unit in shard.units if unit.test_ids):
        us = costs.shared.get(unit.path, ("", 0))[1]
        if us and unit.path in seen:
            copies, copies_us = copies + 1, copies_us + us
        seen.add(unit.path)
    return copies, copies_us
