"""The size: how many shards a suite needs to be done in a target time, and why. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ci_tools.errors import UsageError
from ci_tools.model.case import DEFAULT_CONFIGURATION
from ci_tools.model.worker import Collected
from ci_tools.sharding.estimates import US
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Timings

MAX_SHARDS = 256
"""GitHub Actions starts at most this many jobs from one matrix."""
DEFAULT_TARGET_S = 300.0
OVERHEAD_S = 30.0
"""What a job takes before its first test: checkout, Python, dependencies from a cache, services."""
_AS_LONG = 1.02
"""A shard that takes at most this many times the longest test is that test, with the import of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A number of shards, the seconds its heaviest shard is predicted to take with overhead, and the reasons as sentences."""

    count: int
    predicted_s: float
    reached: bool
    reasons: tuple[str, ...]
    tried: Mapping[int, float] = field(default_factory=dict)


def size_for(
    collected: Collected,
    timings: Timings,
    *,
    target_s: float = DEFAULT_TARGET_S,
    overhead_s: float = OVERHEAD_S,
    maximum: int = MAX_SHARDS,
    configuration: str = DEFAULT_CONFIGURATION,
    processes: int = 1,
) -> Size:
    """The smallest number of shards that is predicted to be done in ``target_s``; the fastest one where none is.

    Every number is judged by the plan it would have, so what a shard pays for imports, and the longest test, count.
    UsageError when the target is no time at all.
    """
    if not target_s > 0:
        raise UsageError(f"the target is {target_s:g} s, expected more than 0", hint="choose a longer target: --target 5m")
    if maximum < 1:
        raise UsageError(f"the largest number of shards is {maximum}, expected at least 1", hint="allow 1 or more")
    tried: dict[int, float] = {}
    facts: Mapping[str, str] = {}

    def predicted_s(count: int) -> float:
        nonlocal facts
        if count not in tried:
            plan = partition(collected, timings, count, commit="", configuration=configuration, processes=processes)
            facts = plan.facts
            tried[count] = overhead_s + max((shard.predicted_s for shard in plan.shards), default=0.0)
        return tried[count]

    most = max(min(maximum, len(collected.test_ids) + len(collected.broken)), 1)
    predicted_s(1)
    longest, longest_s = facts["longest_test"], float(facts["longest_test_s"])
    total_s = float(facts["total_s"]) + float(facts["import_s"])
    left_s = max(target_s - overhead_s, longest_s, 1 / US)  # no shard is done before its longest test
    count = max(min(math.ceil(total_s / max(processes, 1) / left_s), most), 1)
    while predicted_s(count) > target_s and count < most:
        # A handful of plans is enough: the smallest number is looked for below. Never past where the longest test rules.
        if tried[count] - overhead_s <= longest_s * _AS_LONG:
            break
        count = min(max(count + 1, math.ceil(count * 1.5)), most)
    enough_s = max(target_s, tried[count])
    too_few = max((fewer for fewer in tried if fewer < count and tried[fewer] > enough_s), default=0)
    while count - too_few > 1:
        between = (too_few + count) // 2
        if predicted_s(between) <= enough_s:
            count = between
        else:
            too_few = between
    reached = predicted_s(count) <= target_s
    return Size(
        count=count,
        predicted_s=tried[count],
        reached=reached,
        reasons=_reasons(count, tried, target_s, overhead_s, total_s, longest, longest_s, most, maximum),
        tried=dict(sorted(tried.items())),
    )


def _reasons(
    count: int,
    tried: Mapping[int, float],
    target_s: float,
    overhead_s: float,
    total_s: float,
    longest: str,
    longest_s: float,
    most: int,
    maximum: int,
) -> tuple[str, ...]:
    work = f"{total_s:.1f} s of tests and imports, {overhead_s:g} s before the first test of each job"
    reasons = [f"{count} shard(s): {work}, predicted {tried[count]:.1f} s for a target of {target_s:g} s"]
    if longest_s > 0:
        useful = max(min(math.ceil(total_s / longest_s), most), 1)
        if tried[count] > target_s and tried[count] - overhead_s <= longest_s * _AS_LONG:
            reasons.append(
                f"the longest test, {longest} with {longest_s:.1f} s, caps you at N = {count}: more shards are not faster"
            )
        else:
            reasons.append(f"the longest test, {longest} with {longest_s:.1f} s, would cap you at N = {useful}")
    if target_s <= overhead_s:
        reasons.append(f"the target is not reached: {overhead_s:g} s pass before the first test of each job")
    elif tried[count] > target_s and count == most:
        limit = f"the largest number allowed is {maximum}" if most == maximum else f"there are only {most} tests"
        reasons.append(f"the target is not reached: {limit}")
    return tuple(reasons)
