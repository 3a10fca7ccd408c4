import random
from itertools import pairwise

import pytest

from ci_tools.errors import UsageError
from ci_tools.model.journal import ASKED_BY
from ci_tools.model.shard import ShardRef, digest_of
from ci_tools.model.worker import Collected
from ci_tools.sharding.static import orders_for, partition
from ci_tools.sharding.timings import Sample, TestTiming, Timings, from_pairs


def collected_of(paths: dict[str, tuple[str, ...]], **more: object) -> Collected:
    """What a worker says it collected."""
    return Collected(test_ids=tuple(test_id for ids in paths.values() for test_id in ids), paths=paths, **more)  # type: ignore[arg-type]


def test_the_whole_file_goes_to_one_shard() -> None:
    """Files of the same weight are not cut: each is imported by one shard."""
    paths = {f"test_{n}.py": tuple(f"test_{n}.py::test_{i}" for i in range(10)) for n in range(8)}
    plan = partition(collected_of(paths), Timings.empty(), 4, commit="abc")
    assert [len(shard.units) for shard in plan.shards] == [2, 2, 2, 2]
    assert plan.facts["file_parts"] == "8"


def test_a_heavy_file_is_cut_along_its_classes() -> None:
    """A file with all the weight is cut between classes as long as the classes are light enough."""
    paths = {"test_x.py": tuple(f"test_x.py::Test{c}::test_{i}" for c in "ABCDEFGH" for i in range(3))}
    timings = from_pairs((test_id, 1.0) for test_id in paths["test_x.py"])
    plan = partition(collected_of(paths), timings, 4, commit="abc")
    classes = [{test_id.split("::")[1] for test_id in shard.test_ids} for shard in plan.shards]
    assert [len(names) for names in classes] == [2, 2, 2, 2]
    assert all(one.isdisjoint(other) for one, other in pairwise(classes))


def test_a_heavy_function_is_cut_along_its_parameters() -> None:
    """A function whose parameters hold all the weight is cut between them, whatever they contain."""
    ids = tuple(f"test_x.py::test_p[{i}::@ [] ö]" for i in range(8))
    plan = partition(collected_of({"test_x.py": ids}), from_pairs((test_id, 1.0) for test_id in ids), 4, commit="abc")
    assert [len(shard.test_ids) for shard in plan.shards] == [2, 2, 2, 2]


def test_a_shard_names_the_services_that_its_tests_declare() -> None:
    """Only the shard with the test that declares Postgres names it."""
    paths = {"a.py": ("a.py::x",), "b.py": ("b.py::y",)}
    plan = partition(
        collected_of(paths, services={"a.py::x": ("redis", "postgres"), "b.py::y": ("redis",)}), Timings.empty(), 2, commit="abc"
    )
    assert {shard.units[0].path: shard.services for shard in plan.shards} == {"a.py": ("postgres", "redis"), "b.py": ("redis",)}


def test_more_shards_than_tests() -> None:
    """Three tests over five shards: three are filled, two are there and empty, and a note says which."""
    ids = ("test_x.py::a", "test_x.py::b", "test_x.py::c")
    plan = partition(collected_of({"test_x.py": ids}), Timings.empty(), 5, commit="abc")
    assert [len(shard.test_ids) for shard in plan.shards] == [1, 1, 1, 0, 0]
    assert plan.shard(ShardRef(index=5, count=5)).is_empty
    assert plan.notes == ("the suite has 3 separable piece(s) for 5 shards: nothing is planned for 4/5 to 5/5",)
    assert orders_for(plan, ShardRef(index=5, count=5)) == ()


def test_no_tests_at_all() -> None:
    """An empty suite has a plan: every shard is empty."""
    plan = partition(collected_of({}), Timings.empty(), 3, commit="abc")
    assert plan.filled == ()
    assert digest_of(()) == plan.expected_digest


def test_a_broken_file_belongs_to_one_shard() -> None:
    """A file that cannot be imported is a unit without tests in one shard."""
    paths = {"test_x.py": ("test_x.py::a", "test_x.py::b")}
    plan = partition(collected_of(paths, broken={"test_bad.py": "ImportError"}), Timings.empty(), 2, commit="abc")
    holders = [shard.ref for shard in plan.shards if any(unit.path == "test_bad.py" for unit in shard.units)]
    assert len(holders) == 1
    assert plan.broken_files == ("test_bad.py",)


def test_a_broken_class_breaks_its_file() -> None:
    """A class that cannot be collected is reported by the shard that runs the rest of its file."""
    paths = {"test_x.py": ("test_x.py::a",), "test_y.py": ("test_y.py::b",)}
    plan = partition(collected_of(paths, broken={"test_x.py::TestBad": "no"}), Timings.empty(), 2, commit="abc")
    assert plan.broken_files == ("test_x.py",)
    assert sorted(unit.path for shard in plan.shards for unit in shard.units) == ["test_x.py", "test_y.py"]


def test_a_count_below_one_is_refused() -> None:
    """Zero shards is a usage error."""
    with pytest.raises(UsageError, match="number of shards is 0"):
        partition(collected_of({}), Timings.empty(), 0, commit="abc")


def test_another_count_is_refused() -> None:
    """A shard of another count than the plan's is a usage error."""
    plan = partition(collected_of({}), Timings.empty(), 3, commit="abc")
    with pytest.raises(UsageError, match="2/4 is not in the plan"):
        orders_for(plan, ShardRef(index=2, count=4))


def test_ids_that_come_twice_are_planned_once() -> None:
    """A test ID collected twice, or under two paths, is planned once and said."""
    paths = {"a.py": ("a.py::x", "a.py::x"), "b.py": ("a.py::x", "b.py::y")}
    plan = partition(collected_of(paths), Timings.empty(), 2, commit="abc")
    assert plan.test_ids == ("a.py::x", "b.py::y")
    assert plan.notes == ("2 test ID(s) were collected more than once: each is planned once",)


def heavy_tailed() -> tuple[dict[str, tuple[str, ...]], Timings]:
    """Two hundred files whose tests take log-normal seconds: most of the time is in few of them."""
    rng = random.Random(7)  # noqa: S311 - durations, no secrets
    paths = {f"test_{n}.py": tuple(f"test_{n}.py::test_{i}" for i in range(rng.randrange(5, 60))) for n in range(200)}
    return paths, from_pairs((test_id, rng.lognormvariate(-5, 2)) for ids in paths.values() for test_id in ids)


def test_adding_a_test_moves_little() -> None:
    """A new test in any of twenty files moves on average at most a tenth of the others to another shard."""
    paths, timings = heavy_tailed()
    before = {
        test_id: shard.ref
        for shard in partition(collected_of(paths), timings, 8, commit="abc").shards
        for test_id in shard.test_ids
    }
    moved = []
    for n in range(20):
        more = {**paths, f"test_{n}.py": (*paths[f"test_{n}.py"], f"test_{n}.py::test_a_new_one")}
        plan = partition(collected_of(more), timings, 8, commit="abc")
        moved.append(sum(before.get(test_id, shard.ref) != shard.ref for shard in plan.shards for test_id in shard.test_ids))
    assert sum(moved) / len(moved) <= 0.1 * len(before)


def test_heavy_tailed_suite_is_even() -> None:
    """On a heavy-tailed suite the heaviest shard is within 2 % of the bound for 2 to 16 shards."""
    paths, timings = heavy_tailed()
    for count in (2, 4, 8, 16):
        plan = partition(collected_of(paths), timings, count, commit="abc")
        assert float(plan.facts["heaviest_s"]) <= 1.02 * float(plan.facts["bound_s"])


def test_a_renamed_file_keeps_its_timings() -> None:
    """A test whose old ID vanished and whose name is found once elsewhere has the old duration."""
    timings = from_pairs([("old.py::test_slow", 50.0), ("other.py::test_a", 1.0)])
    paths = {"new.py": ("new.py::test_slow",), "other.py": ("other.py::test_a", "other.py::test_b")}
    plan = partition(collected_of(paths), timings, 1, commit="abc")
    assert [unit.estimate_s for unit in plan.shards[0].units if unit.path == "new.py"] == [50.01]
    assert "1 test(s) have the timings of a vanished test" in plan.notes[0]


def test_another_configuration_lends_its_timings() -> None:
    """A configuration without timings borrows those of the best known one and says so."""
    timings = from_pairs([("a.py::x", 8.0)], configuration="sqlite")
    plan = partition(collected_of({"a.py": ("a.py::x",)}), timings, 1, commit="abc", configuration="postgres")
    assert plan.shards[0].predicted_s == 8.01
    assert plan.notes == ("this configuration has no timings yet: those of 'sqlite' are used",)


def test_bias_leaves_room() -> None:
    """A shard with ten seconds of other work gets less of the tests."""
    ids = tuple(f"a.py::test_{i}" for i in range(40))
    timings = from_pairs((test_id, 1.0) for test_id in ids)
    plan = partition(collected_of({"a.py": ids}), timings, 2, commit="abc", bias_s={1: 10.0})
    assert [len(shard.test_ids) for shard in plan.shards] == [15, 25]


def test_importing_counts() -> None:
    """A file that takes long to import weighs as much as a file of long tests."""
    timings = Timings(
        tests=from_pairs([("a.py::x", 1.0), ("b.py::y", 1.0), ("c.py::z", 9.0)]).tests,
        imports={
            "default": {"a.py": TestTiming(samples=(Sample(at=0, call_s=8.0),)), "b.py": TestTiming(samples=(Sample(at=0),))}
        },
    )
    paths = {"a.py": ("a.py::x",), "b.py": ("b.py::y",), "c.py": ("c.py::z",)}
    plan = partition(collected_of(paths), timings, 2, commit="abc")
    assert {unit.path: unit.estimate_s for shard in plan.shards for unit in shard.units} == {
        "a.py": 9.0,
        "b.py": 1.0,
        "c.py": 13.0,
    }


def test_a_cut_file_pays_its_fixture_again() -> None:
    """A module fixture is booked on one test; a shard that runs other tests of the file has to set it up too."""
    ids = tuple(f"a.py::test_{i}" for i in range(8))
    tests = {
        test_id: TestTiming(samples=(Sample(at=0, setup_s=4.0 if test_id == "a.py::test_0" else 0.0, call_s=1.0),))
        for test_id in ids
    }
    timings = Timings(tests={"default": tests}, imports={"default": {"a.py": TestTiming(samples=(Sample(at=0),))}})
    plan = partition(collected_of({"a.py": ids}), timings, 2, commit="abc")
    assert sorted((len(shard.test_ids), shard.predicted_s) for shard in plan.shards) == [(4, 8.0), (4, 8.0)]


def test_a_measured_fixture_is_paid_by_every_part() -> None:
    """A fixture that was measured apart weighs on each shard that runs a part of its file, and on none that does not."""
    ids = {name: tuple(f"{name}::test_{i}" for i in range(8)) for name in ("a.py", "b.py")}
    no_import = {path: TestTiming(samples=(Sample(at=0),)) for path in ids}
    timings = Timings(
        tests=from_pairs([(test_id, 1.0) for one in ids.values() for test_id in one]).tests,
        imports={"default": no_import},
        fixtures={
            "default": {
                "a.py": TestTiming(samples=(Sample(at=0, call_s=4.0),)),
                "": TestTiming(samples=(Sample(at=0, call_s=9.0),)),
            }
        },
    )
    one = partition(collected_of(ids), timings, 1, commit="abc")
    assert {unit.path: unit.estimate_s for unit in one.shards[0].units} == {"a.py": 12.0, "b.py": 8.0}
    parts = [unit for shard in partition(collected_of(ids), timings, 4, commit="abc").shards for unit in shard.units]
    assert {unit.estimate_s - len(unit.test_ids) for unit in parts if unit.path == "a.py"} == {4.0}
    assert {unit.estimate_s - len(unit.test_ids) for unit in parts if unit.path == "b.py"} == {0.0}


def test_processes_divide_the_prediction() -> None:
    """With four pytest-xdist workers a shard of eight one-second tests takes two seconds, and each imports the file."""
    ids = tuple(f"a.py::test_{i}" for i in range(8))
    plan = partition(collected_of({"a.py": ids}), from_pairs((i, 1.0) for i in ids), 1, commit="abc", processes=4)
    assert plan.shards[0].predicted_s == 2.01


def test_memory_addresses_are_named() -> None:
    """Test IDs that change with every process are said, with the remedy."""
    ids = ("a.py::test[<object object at 0x7f3a5c0e1b70>]", "a.py::test[0xdeadbeef]")
    plan = partition(collected_of({"a.py": ids}), Timings.empty(), 1, commit="abc")
    (note,) = plan.notes
    assert note.startswith("1 test ID(s) hold a memory address")
    assert "ids=" in note


DATABASE = "tests::database"


def with_database(seconds: float, users: int, files: int = 8) -> tuple[Collected, Timings]:
    """Files of ten one-second tests, of the first of which all tests need a fixture of the session."""
    paths = {f"test_{n}.py": tuple(f"test_{n}.py::test_{i}" for i in range(10)) for n in range(files)}
    timings = from_pairs((test_id, 1.0) for ids in paths.values() for test_id in ids)
    fixtures = {DATABASE: TestTiming(samples=(Sample(at=0, call_s=seconds),))}
    needs = {test_id: (DATABASE,) for n in range(users) for test_id in paths[f"test_{n}.py"]}
    return collected_of(paths, fixtures=needs), Timings(tests=timings.tests, fixtures={"default": fixtures})


def test_a_shard_pays_once_for_a_fixture_of_the_session() -> None:
    """One shard with thirty tests that need it sets it up once, and its prediction says so."""
    plan = partition(*with_database(5.0, users=3, files=3), 1, commit="abc")
    assert plan.shards[0].fixtures == {DATABASE: 5.0}
    assert plan.shards[0].predicted_s == pytest.approx(30 + 3 * 0.01 + 5)


def test_tests_of_one_dear_fixture_come_together() -> None:
    """Two of sixteen files need a fixture that takes as long as a file: one shard of four sets it up, and gets less else."""
    plan = partition(*with_database(10.0, users=2, files=16), 4, commit="abc")
    (home,) = [shard for shard in plan.shards if shard.fixtures]
    assert {unit.path for unit in home.units} >= {"test_0.py", "test_1.py"}
    assert max(shard.predicted_s for shard in plan.shards) == pytest.approx(42.5, abs=1.0)


def test_what_a_file_asked_for_while_it_ran_is_paid_where_its_tests_are() -> None:
    """A fixture that tests of two files fetched by getfixturevalue is needed there, though collecting them says nothing."""
    collected, timings = with_database(10.0, users=0, files=16)
    fixtures = dict(timings.fixtures["default"])
    fixtures |= {f"{DATABASE}{ASKED_BY}test_{n}.py": fixtures[DATABASE] for n in (3, 7)}
    plan = partition(collected, Timings(tests=timings.tests, fixtures={"default": fixtures}), 4, commit="abc")
    (home,) = [shard for shard in plan.shards if shard.fixtures]
    assert home.fixtures == {DATABASE: 10.0}
    assert {unit.path for unit in home.units} >= {"test_3.py", "test_7.py"}
    assert max(shard.predicted_s for shard in plan.shards) == pytest.approx(42.5, abs=1.0)


def test_a_fixture_that_all_need_is_paid_everywhere() -> None:
    """What every shard sets up does not keep the tests from being even, and stands in the bound."""
    plan = partition(*with_database(10.0, users=8), 4, commit="abc")
    assert [len(shard.test_ids) for shard in plan.shards] == [20] * 4
    assert [shard.fixtures for shard in plan.shards] == [{DATABASE: 10.0}] * 4
    assert float(plan.facts["bound_s"]) == pytest.approx(30, abs=0.1)


def test_a_fixture_without_timings_or_users_costs_nothing() -> None:
    """A collected fixture that was never measured, and a measured one that nobody needs, change no prediction."""
    collected, timings = with_database(5.0, users=0)
    others = collected_of(dict(collected.paths), fixtures=dict.fromkeys(collected.test_ids, ("::unmeasured",)))
    one, other = (partition(suite, timings, 2, commit="abc") for suite in (collected, others))
    assert one == other
    assert [shard.fixtures for shard in one.shards] == [{}, {}]


def test_the_end_is_evened_out_by_few_cuts() -> None:
    """Seven files of equal tests over four shards: few are cut, not all into small pieces, and the shards are even."""
    paths = {f"test_{n}.py": tuple(f"test_{n}.py::test_{i}" for i in range(100)) for n in range(7)}
    plan = partition(collected_of(paths), from_pairs((i, 0.5) for ids in paths.values() for i in ids), 4, commit="abc")
    assert int(plan.facts["file_parts"]) <= 7 + 4
    assert float(plan.facts["heaviest_s"]) <= 1.01 * float(plan.facts["bound_s"])


def test_what_is_heavy_beside_one_long_test_is_evened_out_too() -> None:
    """Where one test is the bound, the other shards are even all the same: timings err, and the heaviest of them might rule."""
    paths = {f"test_{n}.py": tuple(f"test_{n}.py::test_{i}" for i in range(30)) for n in range(4)}
    times = {test_id: 1.0 for ids in paths.values() for test_id in ids} | {"test_long.py::test_long": 100.0}
    collected = collected_of({**paths, "test_long.py": ("test_long.py::test_long",)})
    plan = partition(collected, from_pairs(times.items()), 4, commit="abc")
    *others, longest = sorted(shard.predicted_s for shard in plan.shards)
    assert longest == pytest.approx(100, abs=0.1)
    assert others == pytest.approx([40, 40, 40], abs=2)
