"""A shard runs the tests of its order, refuses a plan that does not fit, and can say what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from suites import SuiteRun, run_suite, write_suite

from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps, loads
from ci_tools.model.journal import SelectionRefused, TestStarted, WorkerStarted
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import ORDER_VARIABLE, Collected, FileOrder, WorkerOrder

FILES = {
    "test_a.py": "def test_one():\n    pass\n\n\ndef test_two():\n    pass\n\n\ndef test_three():\n    pass\n",
    "test_b.py": "def test_four():\n    pass\n",
    "test_c.py": "def test_five():\n    pass\n",
}
A = ("test_a.py::test_one", "test_a.py::test_two", "test_a.py::test_three")
B = ("test_b.py::test_four",)
MODES = pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])


def _order(folder: Path, files: Mapping[str, tuple[Sequence[str], Sequence[str]]], **options: object) -> dict[str, str]:
    orders = tuple(
        FileOrder(path=path, expected_digest=digest_of(expected), test_ids=tuple(wanted))
        for path, (expected, wanted) in files.items()
    )
    order = WorkerOrder(run_id="r1", journal_dir=str(folder / "journal"), files=orders, shard="2/4")
    path = folder / "order.json"
    path.write_text(dumps(replace(order, **options)), encoding="utf-8")
    return {ORDER_VARIABLE: str(path)}


@MODES
def test_only_this_shards_tests_run(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Of what was collected, the tests of the order run; those that an earlier generation finished do not."""
    write_suite(tmp_path, FILES)
    environ = _order(tmp_path, {"test_a.py": (A, A[:2]), "test_b.py": (B, B)}, finished=(A[0],))
    run = run_suite(tmp_path, "-q", *arguments, environ=environ)
    assert (run.returncode, run.outcomes) == (0, {A[1]: Outcome.PASSED, B[0]: Outcome.PASSED}), run.output
    assert {name.split("-")[1:4] == ["2", "of", "4"] for name in run.journals} == {True}


@MODES
def test_a_plan_that_misses_a_test_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A planned test that is not collected: nothing runs, the run ends soon and red, and the journal names it."""
    write_suite(tmp_path, FILES)
    planned = (*A, "test_a.py::test_gone")
    run = run_suite(tmp_path, "-q", *arguments, environ=_order(tmp_path, {"test_a.py": (planned, planned)}))
    refusals = [event for event in run.events if isinstance(event, SelectionRefused)]
    assert {(event.missing, event.unexpected) for event in refusals} == {(("test_a.py::test_gone",), ())}
    assert len(refusals) == (2 if arguments else 1)
    assert [event for event in run.events if isinstance(event, TestStarted)] == []
    assert run.returncode == (2 if arguments else 4), run.output
    assert "refuses its plan" in run.output
    assert "test_a.py::test_gone" in run.output
    assert run.duration_s < 20


def test_a_plan_that_does_not_know_a_test_is_refused(tmp_path: Path) -> None:
    """A collected test that the plan does not know is named as well."""
    write_suite(tmp_path, FILES)
    run = run_suite(tmp_path, "-q", environ=_order(tmp_path, {"test_a.py": (A[:2], A[:2])}))
    refusal = next(event for event in run.events if isinstance(event, SelectionRefused))
    assert (refusal.missing, refusal.unexpected, run.outcomes) == ((), (A[2],), {})


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("-k", "one or two"), A[2:]),
        (("-o", "python_functions=test_o*"), tuple(sorted(A[1:]))),
        (("--deselect", A[0]), A[:1]),
    ],
    ids=["filter", "functions", "deselected"],
)
def test_another_pytest_configuration_is_refused(tmp_path: Path, arguments: tuple[str, ...], missing: tuple[str, ...]) -> None:
    """A shard whose pytest finds other tests than the plan's names them and runs none."""
    write_suite(tmp_path, FILES)
    run = run_suite(tmp_path, "-q", *arguments, "test_a.py", environ=_order(tmp_path, {"test_a.py": (A, A)}))
    refusal = next(event for event in run.events if isinstance(event, SelectionRefused))
    assert (refusal.missing, run.outcomes, run.returncode) == (missing, {}, 4), run.output


def test_a_file_that_broke_is_charged_and_the_others_run(tmp_path: Path) -> None:
    """A file whose collection fails cannot have the expected digest; the rest of the shard runs all the same."""
    write_suite(tmp_path, {**FILES, "test_b.py": "import nowhere_to_be_found\n"})
    environ = _order(tmp_path, {"test_a.py": (A, A), "test_b.py": (B, B)})
    run = run_suite(tmp_path, "-q", "--continue-on-collection-errors", environ=environ)
    assert (run.returncode, run.outcomes) == (1, dict.fromkeys(A, Outcome.PASSED))


def test_other_plugins_have_their_say_first(tmp_path: Path) -> None:
    """What a conftest.py deselects was never there: the plan is made and checked with the same eyes."""
    conftest = (
        "import pytest\n\n\n@pytest.hookimpl(trylast=True)\ndef pytest_collection_modifyitems(items):\n"
        "    items[:] = [item for item in items if item.name != 'test_two']\n    items.reverse()\n"
    )
    write_suite(tmp_path, {**FILES, "conftest.py": conftest})
    kept = (A[2], A[0])
    run = run_suite(tmp_path, "-q", environ=_order(tmp_path, {"test_a.py": (kept, kept)}))
    assert (run.returncode, run.outcomes) == (0, dict.fromkeys(kept, Outcome.PASSED)), run.output


def test_the_order_is_not_inherited_by_what_a_test_starts(tmp_path: Path) -> None:
    """A test that runs pytest itself gets one without an order."""
    suite = "import os\n\n\ndef test_one():\n    assert 'CI_TOOLS_ORDER' not in os.environ\n"
    write_suite(tmp_path, {"test_a.py": suite})
    wanted = ("test_a.py::test_one",)
    assert run_suite(tmp_path, "-q", environ=_order(tmp_path, {"test_a.py": (wanted, wanted)})).returncode == 0


def test_the_first_line_says_whose_work_it_is(tmp_path: Path) -> None:
    """The worker's first event carries the order's run, shard, generation, commit and plan."""
    write_suite(tmp_path, FILES)
    options = {"generation": 3, "commit": "c0ffee", "plan_digest": "sha256:1", "configuration": "pg", "run_attempt": 2}
    run = run_suite(tmp_path, "-q", environ=_order(tmp_path, {"test_b.py": (B, B)}, **options))
    first = next(event for event in run.events if isinstance(event, WorkerStarted))
    said = {name: getattr(first, name) for name in (*options, "run_id", "shard", "worker", "role")}
    assert said == {**options, "run_id": "r1", "shard": "2/4", "worker": "main", "role": "worker"}


def test_an_order_that_is_no_order_is_a_usage_error(tmp_path: Path) -> None:
    """A broken order ends pytest before anything is collected, with what is wrong."""
    write_suite(tmp_path, FILES)
    (tmp_path / "order.json").write_text("{", encoding="utf-8")
    run = run_suite(tmp_path, "-q", environ={ORDER_VARIABLE: str(tmp_path / "order.json")})
    assert (run.returncode, "is no worker order" in run.output, run.outcomes) == (4, True, {})


COLLECTED = {
    "test_a.py": (
        "import pytest\n\n\n@pytest.mark.xdist_group('g')\n@pytest.mark.service('redis')\ndef test_one():\n    pass\n\n\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_two(n):\n    raise AssertionError\n"
    ),
    "test_b.py": "import nowhere_to_be_found\n",
    "test_c.py": "",
}


def _collect(tmp_path: Path, files: Mapping[str, str]) -> tuple[SuiteRun, Collected]:
    write_suite(tmp_path, files)
    target = tmp_path / "collected.json"
    order = WorkerOrder(run_id="r1", journal_dir=str(tmp_path / "journal"), collect_to=str(target))
    (tmp_path / "order.json").write_text(dumps(order), encoding="utf-8")
    run = run_suite(tmp_path, "-q", environ={ORDER_VARIABLE: str(tmp_path / "order.json")})
    return run, loads(Collected, target.read_text(encoding="utf-8"))


def test_listing_says_what_there_is_and_runs_nothing(tmp_path: Path) -> None:
    """Test IDs in order, by file, with groups and services; the broken file with its error; no journal."""
    run, collected = _collect(tmp_path, COLLECTED)
    expected = ("test_a.py::test_one", "test_a.py::test_two[1]", "test_a.py::test_two[2]")
    assert (collected.test_ids, dict(collected.paths)) == (expected, {"test_a.py": expected})
    assert (dict(collected.groups), dict(collected.services)) == ({expected[0]: "g"}, {expected[0]: ("redis",)})
    assert list(collected.broken) == ["test_b.py"]
    assert "nowhere_to_be_found" in collected.broken["test_b.py"]
    assert run.journals == {}


def test_listing_nothing_is_a_list_too(tmp_path: Path) -> None:
    """A suite without tests gives an empty list, not a missing file."""
    _, collected = _collect(tmp_path, {"test_a.py": ""})
    assert (collected.test_ids, dict(collected.broken)) == ((), {})
