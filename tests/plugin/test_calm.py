"""While an ordered worker collects, the garbage collector looks less often; its tests run as ever."""

import json
from pathlib import Path

import pytest
from suites import run_suite, write_suite

from ci_tools.model.codec import dumps
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import ORDER_VARIABLE, FileOrder, WorkerOrder

TESTS = """
import gc, json, os

IMPORTED = gc.get_threshold()[0], gc.isenabled()


def test_it():
    with open("seen.json", "w") as stream:
        json.dump([IMPORTED, [gc.get_threshold()[0], gc.isenabled()]], stream)
"""
CONFTESTS = {
    "": ([100_000, True], [700, True]),
    "import gc\ngc.set_threshold(5, 4, 3)\n": ([5, True], [5, True]),
    "import gc\ngc.disable()\n": ([100_000, False], [700, False]),
}
"""The first threshold and whether the collector is on, at import and in the test. The other thresholds differ by Python."""


def _seen(folder: Path, *, conftest: str, is_ordered: bool = True, arguments: tuple[str, ...] = ()) -> object:
    # Python's own figures differ from version to version: they are set where the suite begins.
    start = "import gc\ngc.set_threshold(700, 10, 10)\n"
    write_suite(folder, {"start.py": start, "conftest.py": conftest, "test_a.py": TESTS})
    ids = ("test_a.py::test_it",)
    file = FileOrder(path="test_a.py", expected_digest=digest_of(ids), test_ids=ids)
    (folder / "order.json").write_text(dumps(WorkerOrder(run_id="r", journal_dir=str(folder / "j"), files=(file,))), "utf-8")
    environ = {"PYTHONPATH": str(folder)} | ({ORDER_VARIABLE: str(folder / "order.json")} if is_ordered else {})
    run = run_suite(folder, "-q", "-p", "start", *arguments, environ=environ)
    assert run.returncode == 0, run.output
    return json.loads((folder / "seen.json").read_text("utf-8"))


@pytest.mark.parametrize("conftest", CONFTESTS, ids=["nothing", "thresholds", "disabled"])
def test_the_collector_is_calm_while_files_are_imported(tmp_path: Path, conftest: str) -> None:
    """A test file sees the calm threshold when it is imported and its own when it runs; what a conftest.py sets stays."""
    assert list(CONFTESTS[conftest]) == _seen(tmp_path, conftest=conftest)


def test_bare_pytest_is_left_alone(tmp_path: Path) -> None:
    """Without an order nothing is changed."""
    usual = [700, True]
    assert [usual, usual] == _seen(tmp_path, conftest="", is_ordered=False)


def test_workers_of_pytest_xdist_are_calm_too(tmp_path: Path) -> None:
    """Each of them collects everything."""
    calm, _ = _seen(tmp_path, conftest="", arguments=("-n", "1"))  # type: ignore[misc] # parsed JSON
    assert calm[0] == 100_000
