from dataclasses import replace

import pytest

from ci_tools.errors import UsageError
from ci_tools.model.worker import Collected
from ci_tools.sharding.explanation import render_explanation
from ci_tools.sharding.sizing import size_for
from ci_tools.sharding.static import partition
from ci_tools.sharding.timings import Sample, TestTiming, Timings, from_pairs


def suite(**seconds: float) -> tuple[Collected, Timings]:
    """Tests named by keyword in one file each, with their seconds; importing a file takes none."""
    paths = {f"{name}.py": (f"{name}.py::t",) for name in seconds}
    timings = from_pairs((f"{name}.py::t", value) for name, value in seconds.items())
    imports = {"default": {path: TestTiming(samples=(Sample(at=0),)) for path in paths}}
    return Collected(test_ids=tuple(ids[0] for ids in paths.values()), paths=paths), replace(timings, imports=imports)


EVEN = suite(**{f"t{n}": 10.0 for n in range(60)})


@pytest.mark.parametrize(("target_s", "count"), [(700.0, 1), (330.0, 2), (130.0, 6), (40.0, 60)])
def test_the_smallest_number_that_does_it(target_s: float, count: int) -> None:
    """Ten minutes of tests with 30 s overhead need as many shards as the target asks for, not one more."""
    size = size_for(*EVEN, target_s=target_s)
    assert (size.count, size.reached) == (count, True)
    assert size.predicted_s <= target_s


def test_uneven_pieces_need_more_shards_than_their_sum_says() -> None:
    """Tests of 40 s fit once into 60 s, so nine of them need nine shards although six hold their sum."""
    size = size_for(*suite(**{f"t{n}": 40.0 for n in range(9)}), target_s=90.0)
    assert (size.count, size.reached, size.predicted_s) == (9, True, 70.0)
    assert {6, 9} <= size.tried.keys()
    small = {f"s{n}": 1.0 for n in range(30)}
    size = size_for(*suite(**{f"t{n}": 40.0 for n in range(11)}, **small), target_s=90.0)
    assert (size.count, size.reached) == (11, True)
    assert 12 in size.tried


def test_the_longest_test_caps() -> None:
    """Where the longest test takes more than the target, the answer is the fewest shards that are as fast, and says why."""
    size = size_for(*suite(long=92.0, **{f"t{n}": 10.0 for n in range(18)}), target_s=60.0)
    assert (size.count, size.reached, size.predicted_s) == (3, False, 122.0)
    assert "the longest test, long.py::t with 92.0 s, caps you at N = 3: more shards are not faster" in size.reasons


def test_few_plans_are_made() -> None:
    """However long the longest test is, and its file's import, a dozen plans answer: a large suite takes a second for each."""
    collected, timings = suite(long=600.0, **{f"t{n}": 10.0 + n % 7 for n in range(300)})
    imports = {"default": {path: TestTiming(samples=(Sample(at=0, call_s=0.5),)) for path in collected.paths}}
    sizes = [size_for(collected, replace(timings, imports=imports), target_s=target_s) for target_s in (5.0, 45.0, 300.0, 640.0)]
    assert [(size.count, size.reached) for size in sizes] == [(8, False), (8, False), (8, False), (8, True)]
    assert max(len(size.tried) for size in sizes) <= 12


def test_the_largest_number_is_respected() -> None:
    """With at most four shards the target is missed, and that is said."""
    size = size_for(*EVEN, target_s=60.0, maximum=4)
    assert (size.count, size.reached) == (4, False)
    assert size.reasons[-1] == "the target is not reached: the largest number allowed is 4"


def test_processes_inside_a_shard_count() -> None:
    """Two pytest-xdist workers in each shard halve the number of shards."""
    assert size_for(*EVEN, target_s=130.0, processes=2).count == 3


def test_a_target_that_a_job_takes_to_begin() -> None:
    """No number reaches a target below the overhead: the answer is the fewest that are as fast, and says so."""
    size = size_for(*suite(long=9.2, **{f"t{n}": 4.6 for n in range(18)}), target_s=10.0)
    assert (size.count, size.reached) == (10, False)
    assert "the longest test, long.py::t with 9.2 s, caps you at N = 10: more shards are not faster" in size.reasons
    assert size.reasons[-1] == "the target is not reached: 30 s pass before the first test of each job"


def test_no_time_is_a_usage_error() -> None:
    """A target that is no time, and room for no shard, are mistakes."""
    with pytest.raises(UsageError, match="the target is 0 s, expected more than 0"):
        size_for(*EVEN, target_s=0.0)
    with pytest.raises(UsageError, match="largest number"):
        size_for(*EVEN, maximum=0)


def test_an_empty_suite_needs_one() -> None:
    """Without tests the answer is one shard."""
    assert size_for(*suite()).count == 1


def test_explanation() -> None:
    """A plan is explained with spread, bound, imports, unknown tests and every shard."""
    collected, timings = suite(a=3.0, b=2.0, c=1.0)
    collected = Collected(
        test_ids=(*collected.test_ids, "d.py::t"), paths={**collected.paths, "d.py": ("d.py::t",)}, broken={"e.py": "no"}
    )
    assert render_explanation(partition(collected, timings, 2, commit="")).splitlines() == [
        "4 test(s) in 5 file(s), 2 of 2 shard(s) filled, configuration default",
        "predicted: 8.0 s of tests and 0.0 s of imports; heaviest shard 4.0 s, lightest 4.0 s, 1.00 times the bound",
        "bound:     4.0 s, a fair part of the tests; the longest one takes 3.0 s: a.py::t",
        "imports:   5 for 5 file(s): every shard that runs a part of a file imports it",
        "fixtures:  none is set up more than once for a file that was cut",
        "unknown:   1 test(s) without timings, their durations are guessed",
        "shard 1/2: 4.0 s, 2 test(s) (1 timed) in 2 file(s): b.py 2.0 s, d.py 2.0 s",
        "shard 2/2: 4.0 s, 2 test(s) (2 timed) in 3 file(s): a.py 3.0 s, c.py 1.0 s, e.py 0.0 s",
        "broken:    e.py could not be collected; its shard reports the error",
    ]


def test_explanation_of_fixtures_and_services() -> None:
    """What a cut file's fixture costs again is said, and what each shard needs."""
    ids = tuple(f"a.py::test_{i}" for i in range(8))
    timings = Timings(
        tests=from_pairs((test_id, 1.0) for test_id in ids).tests,
        imports={"default": {"a.py": TestTiming(samples=(Sample(at=0),))}},
        fixtures={"default": {"a.py": TestTiming(samples=(Sample(at=0, call_s=2.5),))}},
    )
    services = {"a.py::test_0": ("postgres", "redis")}
    plan = partition(Collected(test_ids=ids, paths={"a.py": ids}, services=services), timings, 3, commit="")
    text = render_explanation(plan)
    assert "fixtures:  set up 2 more time(s) for files that were cut, 5.0 s" in text
    assert ["needs postgres, redis" in line for line in text.splitlines() if line.startswith("shard")].count(True) == 1


def test_explanation_of_nothing() -> None:
    """A plan without tests is explained too."""
    collected, timings = suite()
    assert "nothing to spread" in render_explanation(partition(collected, timings, 2, commit=""))


def test_explanation_of_a_long_test() -> None:
    """Where one test sets the bound it is named."""
    text = render_explanation(partition(*suite(a=50.0, b=1.0), 2, commit=""))
    assert "set by the longest test: a.py::t" in text
