"""The same inputs give the same plan in every process and on every Python: what CI's matrix asks of each version anew."""

import hashlib
import itertools
import math

import pytest

from ci_tools.model.plan import render_plan
from ci_tools.model.worker import Collected
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Sample, TestTiming, Timings

ODD = (math.nan, math.inf, 0.0, -1.0, 1e300, 1e-12)
PLANS = "60a13359186a91e122c0948ac4784e28b9ff6ee4d320b3205ad9a8d5a1ce31b9"
"""Of the plans of ``suite`` for 1, 2, 3, 8 and 17 shards. It changes with what the plan decides, never with the Python."""


def number(*parts: object) -> int:
    """A number that looks random and is the same everywhere."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def seconds(*parts: object) -> float:
    """Up to about two seconds, seldom what is no duration at all."""
    chosen = number(*parts)
    return ODD[chosen % len(ODD)] if chosen % 23 == 0 else chosen / 2**31


def suite() -> tuple[Collected, Timings]:
    """40 files with up to 30 tests: timed and not, several times and strangely, in groups, with fixtures of every width."""
    names = [f"tests/{'äπ' if file % 7 == 0 else ''}test_{file}.py" for file in range(40)]
    paths = {
        path: tuple(
            f"{path}::{'TestC::' if n % 3 == 0 else ''}test_{n}[{('a::b', 'é', 'x' * 50, '')[number(path, n) % 4]}]"
            for n in range(1 + number(path) % 30)
        )
        for path in names
    }
    ids = [test_id for tests in paths.values() for test_id in tests]
    timed = {
        test_id: TestTiming(
            samples=tuple(
                Sample(at=at, setup_s=seconds("s", test_id, at) / 10, call_s=seconds(test_id, at))
                for at in range(1 + number("n", test_id) % 5)
            )
        )
        for test_id in ids
        if number("timed", test_id) % 5
    }
    wide = {**{path: path for path in names if number("f", path) % 3 == 0}, "::database": "::database"}
    collected = Collected(
        test_ids=tuple(ids),
        paths=paths,
        groups={test_id: "xyz"[number("g", test_id) % 3] for test_id in ids if number("g", test_id) % 31 == 0},
        fixtures={test_id: ("::database",) for test_id in ids if number("d", test_id) % 5 == 0},
    )
    timings = Timings(
        tests={"default": timed},
        imports={"default": {path: TestTiming(samples=(Sample(at=1, call_s=number("i", path) / 2**34),)) for path in names[::2]}},
        fixtures={"default": {name: TestTiming(samples=(Sample(at=1, call_s=0.7),)) for name in wide}},
    )
    return collected, timings


def test_the_plans_are_these() -> None:
    """Plans of a suite with every oddity have this digest, whatever Python makes them."""
    collected, timings = suite()
    plans = [render_plan(partition(collected, timings, count, commit="c")) for count in (1, 2, 3, 8, 17)]
    assert hashlib.sha256("".join(plans).encode()).hexdigest() == PLANS


@pytest.mark.parametrize("order", tuple(itertools.permutations((math.nan, 1.0, 3.0, -2.0))))
def test_a_sample_that_is_no_number_has_no_place(order: tuple[float, ...]) -> None:
    """The median is that of the samples that are durations: where others come to stand in an order depends on the Python."""
    timing = TestTiming(samples=tuple(Sample(at=at, call_s=value) for at, value in enumerate(order)))
    assert timing.duration_s == 2.0


def test_no_sample_that_is_a_duration() -> None:
    """Without any there is no duration: the test counts as unknown."""
    assert math.isnan(TestTiming(samples=(Sample(at=1, call_s=-1.0),)).duration_s)
