"""Properties of any plan: each test is in one shard, whatever is collected in whatever order; none is empty for nothing."""

import math
import random
from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ci_tools.model.plan import parse_plan, render_plan
from ci_tools.model.shard import Plan, ShardRef, digest_of
from ci_tools.model.worker import Collected
from ci_tools.sharding.static import orders_for, partition
from ci_tools.sharding.timings import Sample, TestTiming, Timings

NAMES = st.text(
    alphabet=st.sampled_from("abAB01_:[]@ -/.öπ\U0001f600"),
    min_size=1,
    max_size=12,
)
SECONDS = st.one_of(
    st.just(0.0),
    st.floats(min_value=0, max_value=100),
    st.sampled_from([math.nan, math.inf, -1.0, 1e300, 1e-12]),
)


JOINED = (
    {"tests/a.py": ["tests/a.py::0"], "tests/b.py": ["tests/b.py::0", "tests/b.py::1"], "tests/c.py": ["tests/c.py::0"]},
    Timings(tests={"default": {"tests/c.py::0": TestTiming(samples=(Sample(at=1, call_s=1.0),))}}),
    {"tests/a.py::0": "x", "tests/b.py::0": "x"},
    [],
)
"""Two light files that a group joins, beside a heavy one: three shards want the joined ones apart."""


@st.composite
def suites(draw: st.DrawFn) -> tuple[dict[str, list[str]], Timings, dict[str, str], list[str]]:
    """Files with tests, timings of some of them, groups and broken files."""
    paths = {}
    for name in draw(st.lists(NAMES, unique=True, max_size=6)):
        path = f"tests/{name}.py"
        tests = draw(st.lists(NAMES, unique=True, min_size=1, max_size=8))
        paths[path] = [f"{path}::{test}" for test in tests]
    ids = [test_id for tests in paths.values() for test_id in tests]
    timed = draw(st.dictionaries(st.sampled_from(ids), SECONDS, max_size=len(ids))) if ids else {}
    # Built by hand: from_pairs and learn let no such numbers in, a file changed by hand might.
    timings = Timings(
        tests={"default": {test_id: TestTiming(samples=(Sample(at=1, call_s=seconds),)) for test_id, seconds in timed.items()}}
    )
    groups = draw(st.dictionaries(st.sampled_from(ids), st.sampled_from("xyz"), max_size=4)) if ids else {}
    broken = [f"tests/{name}.py" for name in draw(st.lists(st.sampled_from("pqr"), unique=True))]
    return paths, timings, groups, broken


def plan_of(suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int, seed: int = 0) -> Plan:
    """The plan of the suite when it is collected in the order that ``seed`` gives."""
    paths, timings, groups, broken = suite
    order = random.Random(seed)  # noqa: S311 - orders of collection, no secrets
    shuffled = {}
    for path in order.sample(sorted(paths), len(paths)):
        shuffled[path] = tuple(order.sample(paths[path], len(paths[path])))
    collected = Collected(
        test_ids=tuple(test_id for ids in shuffled.values() for test_id in ids),
        paths=shuffled,
        groups=groups,
        broken=dict.fromkeys(order.sample(broken, len(broken)), "no"),
        duration_s=float(seed),
    )
    return partition(
        collected,
        timings,
        count,
        commit="abc",
    )


class TestEveryTestInExactlyOneShard:
    """Properties of any plan."""

    @given(suite=suites(), count=st.integers(1, 12), seed=st.integers(0, 5))
    @settings(max_examples=150, deadline=None)
    def test_partition(
        self, suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int, seed: int
    ) -> None:
        """For any durations, groups, number of shards and order of collection each test is planned once."""
        plan = plan_of(suite, count, seed)
        expected = sorted(test_id for ids in suite[0].values() for test_id in ids)
        assert expected == sorted(test_id for shard in plan.shards for test_id in shard.test_ids)
        assert digest_of(expected) == plan.expected_digest
        assert all(math.isfinite(shard.predicted_s) for shard in plan.shards)

    @given(suite=suites(), count=st.integers(1, 12), seed=st.integers(1, 1000))
    @settings(max_examples=150, deadline=None)
    def test_order_of_collection(
        self, suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int, seed: int
    ) -> None:
        """Neither the order of collection nor the time it took changes anything in the plan."""
        assert plan_of(suite, count) == plan_of(suite, count, seed)

    @given(suite=suites(), count=st.integers(1, 12))
    @example(suite=JOINED, count=3)
    @settings(max_examples=150, deadline=None)
    def test_no_empty_shard(self, suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int) -> None:
        """A shard is empty only when there are fewer separable pieces than shards, and then the plan says so."""
        paths, _, groups, broken = suite
        ids = [test_id for tests in paths.values() for test_id in tests]
        pieces = len([test_id for test_id in ids if test_id not in groups]) + len(
            {groups[test_id] for test_id in ids if test_id in groups}
        )
        plan = plan_of(suite, count)
        assert min(count, pieces + len(broken)) == len(plan.filled)
        assert (len(plan.filled) < count) == any("nothing is planned" in note for note in plan.notes)

    @given(suite=suites(), count=st.integers(1, 12))
    @settings(max_examples=150, deadline=None)
    def test_groups_stay_together(
        self, suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int
    ) -> None:
        """All tests of one group are in one shard, across files too."""
        plan = plan_of(suite, count)
        homes: dict[str, set[ShardRef]] = {}
        for shard in plan.shards:
            for test_id in shard.test_ids:
                if test_id in suite[2]:
                    homes.setdefault(suite[2][test_id], set()).add(shard.ref)
        assert all(len(refs) == 1 for refs in homes.values())

    @given(suite=suites(), count=st.integers(1, 12))
    @settings(max_examples=100, deadline=None)
    def test_json(self, suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int) -> None:
        """A plan survives its JSON form."""
        plan = plan_of(suite, count)
        assert plan == parse_plan(render_plan(plan))

    @given(suite=suites(), count=st.integers(1, 12))
    @settings(max_examples=100, deadline=None)
    def test_orders(self, suite: tuple[dict[str, list[str]], Timings, dict[str, str], list[str]], count: int) -> None:
        """The shards' orders hold every test once, and each file's digest over all its tests wherever they run."""
        plan = plan_of(suite, count)
        orders = [file for shard in plan.shards for file in orders_for(plan, shard.ref)]
        assert Counter(plan.test_ids) == Counter(test_id for file in orders for test_id in file.test_ids)
        for path, ids in suite[0].items():
            assert {digest_of(ids)} == {file.expected_digest for file in orders if file.path == path}
        assert {*suite[0], *suite[3]} == {file.path for file in orders}
