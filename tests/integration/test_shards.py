"""Shards end to end: collected, planned, ordered and run by real workers, against one run of everything."""

import os
import random
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps, loads
from ci_tools.model.guard import GuardMode, GuardPolicy
from ci_tools.model.journal import parse_journal
from ci_tools.model.report import ShardReport
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.reports.journals import read_shard
from ci_tools.sharding.bisection import find_culprits
from ci_tools.sharding.sequences import orders_of_sequence, recorded_sequence
from ci_tools.sharding.static import orders_for, partition
from ci_tools.sharding.timings import Timings, learn
from ci_tools.workers.command import WorkerCommand, command, order_name, paths_of
from ci_tools.workers.supervisor import supervise

GUARD = GuardPolicy(timeout_s=60.0, leaks={}, evidence=GuardMode.OFF)

NASTY = {
    "test_parameters.py": """
        import pytest

        VALUES = ["a::b", "x@y", "[1]", "a b", "öπ😀", "x" * 2000, "", "a/b.py::c", "line\\nbreak", "::", "]["]

        @pytest.mark.parametrize("value", VALUES)
        def test_value(value):
            assert value in VALUES

        @pytest.mark.parametrize("value", sorted({"p", "q", "r"}))
        def test_from_a_set(value):
            pass
    """,
    "test_unittest.py": """
        import unittest

        class TestOld(unittest.TestCase):
            def test_one(self):
                for n in range(3):
                    with self.subTest(n=n):
                        self.assertLess(n, 5)

            @unittest.skip("not today")
            def test_two(self):
                raise AssertionError
    """,
    "test_classes.py": """
        import pytest

        class TestOuter:
            class TestInner:
                def test_deep(self):
                    pass

            def test_a(self):
                pass

            @pytest.mark.xfail
            def test_b(self):
                assert False

        @pytest.mark.xdist_group("together")
        def test_grouped():
            pass
    """,
    "sub/test_grouped.py": """
        import pytest

        @pytest.mark.xdist_group("together")
        def test_grouped():
            pass

        def test_subtests(subtests):
            for n in range(2):
                with subtests.test(n=n):
                    assert n < 2

        def test_fails():
            assert 1 == 2
    """,
    "test_broken.py": "import no_such_module\n\ndef test_never():\n    pass\n",
    "documented.txt": """
        >>> 1 + 1
        2
    """,
    "conftest.py": """
        import os
        import random

        # pytest-xdist wants the same order in every worker of a run; every run has another one.
        order = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))

        def pytest_collection_modifyitems(items):
            items[:] = [item for item in items if "deselect_me" not in item.nodeid]
            order.shuffle(items)
    """,
    "test_deselected.py": "def test_deselect_me():\n    raise SystemExit(3)\n\ndef test_kept():\n    pass\n",
}


def write_suite(root: Path, files: dict[str, str]) -> None:
    """Put the files of a suite down."""
    (root / "pytest.ini").write_text("[pytest]\ndoctest_optionflags =\naddopts = --doctest-glob=*.txt\n", encoding="utf-8")
    for path, source in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(textwrap.dedent(source), encoding="utf-8")


def collect(root: Path, folder: Path, pytest_args: Sequence[str] = ()) -> Collected:
    """What a collecting worker finds."""
    target = folder / "collected.json"
    order = WorkerOrder(run_id="collect", journal_dir=str(folder), collect_to=str(target), guard=GUARD)
    (folder / "order.json").write_text(dumps(order), encoding="utf-8")
    wanted = command(str(folder / "order.json"), python=sys.executable, pytest_args=pytest_args, environ=os.environ)
    subprocess.run(wanted.argv, env=dict(wanted.env), cwd=root, check=False, capture_output=True, timeout=60)
    return loads(Collected, target.read_text("utf-8"))


def run_shard(root: Path, folder: Path, plan: Plan, ref: ShardRef, *, pytest_args: Sequence[str] = ()) -> ShardReport:
    """One shard of the plan under its supervisor, and its report."""

    def command_for(order: WorkerOrder) -> WorkerCommand:
        return command(
            str(folder / order_name(order)),
            python=sys.executable,
            paths=paths_of(order) or (),
            pytest_args=("-p", "no:cacheprovider", *pytest_args),
            environ=os.environ,
        )

    order = WorkerOrder(run_id="r", journal_dir=str(folder), shard=str(ref), files=orders_for(plan, ref), guard=GUARD)
    exits = supervise(command_for, order, folder=folder, cwd=root, deadline_s=90)
    return read_shard(folder, run_id="r", shard=ref, expected=plan.shard(ref).test_ids, exits=exits)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a project."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """The folder of a run."""
    folder = tmp_path / "artifacts"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "distribution", [(), ("-n", "2", "--dist", "worksteal"), ("-n", "2", "--dist", "loadgroup")], ids=" ".join
)
def test_three_shards_are_one_run(root: Path, artifacts: Path, distribution: tuple[str, ...]) -> None:
    """A suite of every odd kind over three shards: the tests and outcomes of one run, each test exactly once."""
    write_suite(root, NASTY)
    collected = collect(root, artifacts)
    whole = partition(collected, Timings.empty(), 1, commit="c")
    one = run_shard(root, artifacts / "one", whole, ShardRef(index=1, count=1), pytest_args=distribution)
    plan = partition(collect(root, artifacts), Timings.empty(), 3, commit="c")
    assert plan.expected_digest == whole.expected_digest
    shards = [run_shard(root, artifacts / shard.ref.slug, plan, shard.ref, pytest_args=distribution) for shard in plan.filled]
    assert [report.corrupt for report in (one, *shards)] == [()] * 4
    cases = [case for report in shards for case in report.cases]
    assert Counter(case.test_id for case in cases) == Counter(whole.test_ids)
    assert {case.test_id: case.outcome for case in cases} == {case.test_id: case.outcome for case in one.cases}
    assert {Outcome.LOST, Outcome.CRASHED}.isdisjoint(case.outcome for case in cases)
    assert [error.path for report in shards for error in report.collection_errors] == ["test_broken.py"]


def test_the_second_plan_uses_what_the_first_run_took(root: Path, artifacts: Path) -> None:
    """Timings learned from a run's report make the slow file a shard of its own."""
    write_suite(
        root,
        {
            "test_slow.py": "import threading\ndef test_slow():\n    threading.Event().wait(1)\n",
            **{f"test_{n}.py": "def test_a():\n    pass\ndef test_b():\n    pass\n" for n in range(4)},
        },
    )
    collected = collect(root, artifacts)
    first = run_shard(root, artifacts / "one", partition(collected, Timings.empty(), 1, commit="c"), ShardRef(index=1, count=1))
    plan = partition(collected, learn(Timings.empty(), first), 2, commit="c")
    assert [sorted(unit.path for unit in shard.units) for shard in plan.shards] == [
        ["test_slow.py"],
        ["test_0.py", "test_1.py", "test_2.py", "test_3.py"],
    ]
    assert plan.facts["without_timings"] == "0"


def test_a_file_changed_since_the_plan_is_refused(root: Path, artifacts: Path) -> None:
    """A test that the plan does not know makes the shard refuse: nothing runs, and no second generation tries."""
    write_suite(root, {"test_x.py": "def test_a():\n    pass\n"})
    plan = partition(collect(root, artifacts), Timings.empty(), 1, commit="c")
    (root / "test_x.py").write_text("def test_a():\n    pass\ndef test_new():\n    pass\n", encoding="utf-8")
    report = run_shard(root, artifacts, plan, ShardRef(index=1, count=1))
    assert [case.outcome for case in report.cases] == [Outcome.LOST]
    assert len(report.exits) == 1
    assert "the plan was refused" in report.exits[0].message


def test_a_file_renamed_since_the_plan_is_refused(root: Path, artifacts: Path) -> None:
    """A file that is gone makes pytest end before any test: its tests are lost and the exit says so."""
    write_suite(root, {"test_x.py": "def test_a():\n    pass\n"})
    plan = partition(collect(root, artifacts), Timings.empty(), 1, commit="c")
    (root / "test_x.py").rename(root / "test_y.py")
    report = run_shard(root, artifacts, plan, ShardRef(index=1, count=1))
    assert [(case.test_id, case.outcome) for case in report.cases] == [("test_x.py::test_a", Outcome.LOST)]
    assert len(report.exits) == 1
    assert report.exits[0].returncode != 0


@pytest.mark.parametrize("distribution", [(), ("-n", "2")], ids=" ".join)
def test_a_configuration_below_the_root(root: Path, artifacts: Path, distribution: tuple[str, ...]) -> None:
    """Where pytest's configuration lies in a folder below, test IDs and file arguments still start at the same place."""
    (root / "tests").mkdir()
    write_suite(root / "tests", {"unit/test_x.py": "def test_a():\n    pass\n", "test_y.py": "def test_b():\n    pass\n"})
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    collected = collect(root, artifacts, ("tests",))
    assert sorted(collected.test_ids) == ["tests/test_y.py::test_b", "tests/unit/test_x.py::test_a"]
    plan = partition(collected, Timings.empty(), 1, commit="c")
    report = run_shard(root, artifacts, plan, ShardRef(index=1, count=1), pytest_args=distribution)
    assert [case.outcome for case in report.cases] == [Outcome.PASSED, Outcome.PASSED]


def test_a_crash_in_a_shard_costs_one_test(root: Path, artifacts: Path) -> None:
    """A cut file with a crashing test: both shards together have every other test passed."""
    tests = "\n".join(f"def test_{n}():\n    {'os.abort()' if n == 3 else 'pass'}" for n in range(8))
    write_suite(root, {"test_x.py": f"import os\n{tests}\n"})
    plan = partition(collect(root, artifacts), Timings.empty(), 2, commit="c")
    reports = [run_shard(root, artifacts / shard.ref.slug, plan, shard.ref) for shard in plan.shards]
    outcomes = {case.test_id: case.outcome for report in reports for case in report.cases}
    assert outcomes.pop("test_x.py::test_3") is Outcome.CRASHED
    assert Counter(outcomes.values()) == {Outcome.PASSED: 7}


def test_long_arguments(root: Path, artifacts: Path) -> None:
    """Four hundred files with long names reach pytest through an argument file."""
    write_suite(root, {f"test_{'long_name_' * 5}{n}.py": "def test_a():\n    pass\n" for n in range(400)})
    plan = partition(collect(root, artifacts), Timings.empty(), 1, commit="c")
    report = run_shard(root, artifacts, plan, ShardRef(index=1, count=1))
    assert Counter(case.outcome for case in report.cases) == {Outcome.PASSED: 400}
    assert (artifacts / "order-1-of-1-1.args").is_file()


def run_sequence(root: Path, folder: Path, test_ids: Sequence[str]) -> dict[str, Outcome]:
    """Outcomes of exactly these tests, run in this order by one worker."""

    def command_for(order: WorkerOrder) -> WorkerCommand:
        return command(
            str(folder / order_name(order)),
            python=sys.executable,
            paths=paths_of(order) or (),
            pytest_args=("-p", "no:cacheprovider", "-p", "no:randomly"),
            environ=os.environ,
        )

    order = WorkerOrder(
        run_id="r",
        journal_dir=str(folder),
        files=orders_of_sequence(test_ids),
        sequence=tuple(test_ids),
        guard=GUARD,
    )
    exits = supervise(command_for, order, folder=folder, cwd=root, deadline_s=60)
    report = read_shard(folder, run_id="r", shard=ShardRef(index=1, count=1), expected=test_ids, exits=exits)
    return {case.test_id: case.outcome for case in report.cases}


def sequence_in(folder: Path) -> tuple[str, ...]:
    """The order in which the folder's one worker ran its tests."""
    (journal,) = folder.glob("journal-*-main-*.jsonl")
    return recorded_sequence(parse_journal(journal.read_text("utf-8")))


def test_a_recorded_order_is_repeated(root: Path, artifacts: Path) -> None:
    """The order of a run that jumps between files and classes, is run exactly so again."""
    write_suite(root, {path: NASTY[path] for path in ("test_parameters.py", "test_classes.py", "sub/test_grouped.py")})
    sequence = list(collect(root, artifacts).test_ids)
    random.Random(5).shuffle(sequence)  # noqa: S311 - an order, no secret
    run_sequence(root, artifacts / "first", sequence)
    recorded = sequence_in(artifacts / "first")
    assert recorded == tuple(sequence)
    run_sequence(root, artifacts / "again", recorded)
    assert sequence_in(artifacts / "again") == recorded


def test_the_test_that_breaks_another_is_found(root: Path, artifacts: Path) -> None:
    """A test that leaves an environment variable behind is found among those that ran before its victim."""
    write_suite(
        root,
        {
            "test_a.py": "import os\n"
            + "".join(f"def test_{n}():\n    {'os.environ.update(LEFT=str(1))' if n == 6 else 'pass'}\n" for n in range(12)),
            "test_b.py": "import os\ndef test_victim():\n    assert 'LEFT' not in os.environ\n",
        },
    )
    victim = "test_b.py::test_victim"
    before = [test_id for test_id in collect(root, artifacts).test_ids if test_id != victim]
    runs = iter(range(100))

    def fails_after(tests: Sequence[str]) -> bool:
        return run_sequence(root, artifacts / f"bisect-{next(runs)}", [*tests, victim])[victim] is not Outcome.PASSED

    found = find_culprits(before, fails_after)
    assert (found.culprits, found.is_minimal) == (("test_a.py::test_6",), True)
