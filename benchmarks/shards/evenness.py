"""Makespan over its bound, of our plans and of longest first per test."""

import heapq
import math
import random
import statistics
from collections.abc import Sequence

from shards.suite import SUITE, verdict

from ci_tools.model.shard import Plan
from ci_tools.model.worker import Collected
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import from_pairs

TRIALS = 150
NOISE = 0.3
UNKNOWN = 0.1
MOST_UNEVEN = 1.02
"""Makespan over its bound with exact timings."""
MOST_ERRORS = 2.0
"""Standard errors by which the trials' mean may lie above that of longest first per test before it counts as worse."""


def describe(collected: Collected, pairs: Sequence[tuple[str, float]]) -> None:
    """The suite in one line."""
    seconds = [duration for _, duration in pairs]
    print(
        f"{SUITE}: {len(collected.test_ids)} tests in {len(collected.paths)} files, {sum(seconds):.1f} s,"
        f" longest {max(seconds):.2f} s, collected in {collected.duration_s:.1f} s",
        flush=True,
    )


def even(collected: Collected, pairs: Sequence[tuple[str, float]]) -> bool:
    """Makespan over its bound: with exact timings, then with noise and unknown tests, beside longest-first per test."""
    exact = {**dict.fromkeys(collected.test_ids, 0.001), **dict(pairs)}
    are_met = []
    print("makespan / bound, exact timings (files as units | longest first per test):")
    for count in (2, 4, 8, 16):
        plan = partition(bare(collected), from_pairs(exact.items()), count, commit="bench")
        peer = max(longest_first(exact, exact, count)) / bound(exact, count)
        ours = ratio(plan, exact, count)
        are_met.append(ours <= MOST_UNEVEN)
        print(f"  N = {count:2}: {ours:.3f} | {peer:.3f}; {verdict(ours, MOST_UNEVEN)}")
    print(f"makespan / bound of {TRIALS} trials, noise ±{NOISE:.0%}, {UNKNOWN:.0%} of the tests unknown, mean (95th percentile):")
    for count in (2, 4, 8, 16):
        trials = [noisy(collected, exact, count, trial) for trial in range(TRIALS)]
        gaps = [ours - peer for ours, peer in trials]
        error = statistics.stdev(gaps) / math.sqrt(TRIALS)
        worse = statistics.fmean(gaps) / error if error else 0.0
        are_met.append(worse <= MOST_ERRORS)
        both = " | ".join(spread(values) for values in zip(*trials, strict=True))
        print(f"  N = {count:2}: {both}; worse by {worse:.1f} standard errors, {verdict(worse, MOST_ERRORS)}", flush=True)
    return all(are_met)


def noisy(collected: Collected, exact: dict[str, float], count: int, trial: int) -> tuple[float, float]:
    """Makespan over its bound in one trial: ours, and longest first per test."""
    rng = random.Random(trial)  # noqa: S311 - noise, the same in every call
    truth = {test_id: seconds * rng.uniform(1 - NOISE, 1 + NOISE) for test_id, seconds in sorted(exact.items())}
    known = {test_id: seconds for test_id, seconds in sorted(exact.items()) if rng.random() >= UNKNOWN}
    plan = partition(bare(collected), from_pairs(known.items()), count, commit="bench")
    mean = statistics.fmean(known.values())
    groups = longest_first_groups({test_id: known.get(test_id, mean) for test_id in exact}, count)
    peer = max(sum(truth[test_id] for test_id in group) for group in groups) / bound(truth, count)
    return ratio(plan, truth, count), peer


def bare(collected: Collected) -> Collected:
    """The collection without its own time: evenness of tests alone is compared."""
    return Collected(test_ids=collected.test_ids, paths=collected.paths, groups=collected.groups)


def ratio(plan: Plan, truth: dict[str, float], count: int) -> float:
    """The heaviest shard's true seconds over the bound."""
    return max(sum(truth[test_id] for test_id in shard.test_ids) for shard in plan.shards) / bound(truth, count)


def bound(truth: dict[str, float], count: int) -> float:
    """No partition is faster: a fair part, or the longest test."""
    return max(sum(truth.values()) / count, *truth.values())


def spread(values: Sequence[float]) -> str:
    """Mean and 95th percentile."""
    return f"{statistics.fmean(values):.3f} ({sorted(values)[math.ceil(0.95 * len(values)) - 1]:.3f})"


def longest_first_groups(durations: dict[str, float], count: int) -> list[list[str]]:
    """pytest-split's least_duration: every test alone, longest first to the least loaded group."""
    groups: list[list[str]] = [[] for _ in range(count)]
    heap = [(0.0, index) for index in range(count)]
    for test_id in sorted(durations, key=lambda name: (-durations[name], name)):
        load, index = heapq.heappop(heap)
        groups[index].append(test_id)
        heapq.heappush(heap, (load + durations[test_id], index))
    return groups


def longest_first(durations: dict[str, float], test_ids: Sequence[str] | dict[str, float], count: int) -> list[float]:
    """Seconds of each group of longest first per test."""
    known = {test_id: durations.get(test_id, 0.001) for test_id in test_ids}
    return [sum(known[test_id] for test_id in group) for group in longest_first_groups(known, count)]
