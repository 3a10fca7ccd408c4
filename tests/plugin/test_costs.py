"""What a run measures around its tests: imports by file and fixtures by scope, for the next plan."""

from pathlib import Path

import pytest
from suites import run_suite, write_suite

from ci_tools.model.journal import ASKED_BY, CostsMeasured
from ci_tools.model.shard import ShardRef
from ci_tools.reports.journals import read_shard
from ci_tools.sharding.timings import Timings, learn

WAIT = "import threading\n\nimport pytest\n\n\ndef wait(seconds):\n    threading.Event().wait(seconds)\n\n\n"
FILES = {
    "test_a.py": "def test_first():\n    pass\n",
    "test_b.py": WAIT + "wait(0.3)\n\n\ndef test_import():\n    pass\n",
    "test_c.py": WAIT
    + "@pytest.fixture(scope='session')\ndef everywhere():\n    wait(0.4)\n\n\n"
    + "@pytest.fixture(scope='module')\ndef inner(everywhere):\n    wait(0.2)\n\n\n"
    + "@pytest.fixture(scope='module')\ndef outer(request):\n    request.getfixturevalue('inner')\n    wait(0.1)\n\n\n"
    + "@pytest.fixture\ndef own():\n    wait(0.5)\n\n\n"
    + "def test_carrier(everywhere, outer, own):\n    pass\n\n\ndef test_follower(outer):\n    pass\n",
}


@pytest.mark.parametrize("arguments", [(), ("-n", "2", "--dist", "loadfile")], ids=["alone", "xdist"])
def test_costs_are_measured(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """The slow import stands at its file, the module's fixtures at theirs, the session's at its name, a test's own nowhere."""
    write_suite(tmp_path, FILES)
    run = run_suite(tmp_path, "-q", *arguments)
    assert run.returncode == 0, run.output
    report = read_shard(tmp_path / "journal", run_id="journal", shard=ShardRef(index=1, count=1))
    costs = report.costs
    assert 0.3 <= costs.imports["test_b.py"] < 5
    assert "test_a.py" not in costs.imports  # the first file has paid for what all files share
    assert sorted(costs.fixtures) == ["test_c.py", "test_c.py::everywhere"]
    assert 0.3 <= costs.fixtures["test_c.py"] < 0.3 + 5
    assert 0.4 <= costs.fixtures["test_c.py::everywhere"] < 0.4 + 5
    assert list(costs.setups) == ["test_c.py::test_carrier"]
    (carrier,) = [case for case in report.cases if case.test_id == "test_c.py::test_carrier"]
    assert 0.5 <= carrier.attempts[0].setup_s - costs.setups["test_c.py::test_carrier"]


def test_a_fixture_asked_for_while_a_test_runs_is_booked_beside_its_file(tmp_path: Path) -> None:
    """A session's fixture that a test's body fetches is measured, is not in the test's own time, and its file is named."""
    body = "@pytest.fixture(scope='session')\ndef database():\n    wait(0.4)\n\n\n"
    asking = "def test_asks(request):\n    request.getfixturevalue('database')\n\n\ndef test_declares(database):\n    pass\n"
    write_suite(tmp_path, {"test_d.py": WAIT + body + asking})
    run = run_suite(tmp_path, "-q")
    assert run.returncode == 0, run.output
    report = read_shard(tmp_path / "journal", run_id="journal", shard=ShardRef(index=1, count=1))
    costs = report.costs
    assert sorted(costs.fixtures) == ["test_d.py::database", f"test_d.py::database{ASKED_BY}test_d.py"]
    assert {0.4 <= seconds < 0.4 + 5 for seconds in costs.fixtures.values()} == {True}
    timing = learn(Timings.empty(), [report], at=1).of()["test_d.py::test_asks"]
    (asks,) = [case for case in report.cases if case.test_id == "test_d.py::test_asks"]
    assert timing.duration_s <= asks.attempts[0].duration_s - 0.39


def test_only_what_is_asked_for_while_a_test_runs_is_named_so(tmp_path: Path) -> None:
    """A fixture that the test declares, directly, through another or by a parameter, is known from collecting it."""
    body = (
        "@pytest.fixture(scope='session', params=[1, 2])\ndef engine(request):\n    wait(0.1)\n\n\n"
        "@pytest.fixture(scope='session')\ndef inner():\n    wait(0.1)\n\n\n"
        "@pytest.fixture(scope='session', autouse=True)\ndef outer(inner):\n    wait(0.1)\n\n\n"
        "def test_one(engine):\n    pass\n"
    )
    write_suite(tmp_path, {"test_e.py": WAIT + body})
    run = run_suite(tmp_path, "-q")
    assert run.returncode == 0, run.output
    costs = read_shard(tmp_path / "journal", run_id="journal", shard=ShardRef(index=1, count=1)).costs
    assert sorted(costs.fixtures) == [f"test_e.py::{name}" for name in ("engine[0]", "engine[1]", "inner", "outer")]


def test_nothing_is_measured_without_a_journal(tmp_path: Path) -> None:
    """Costs are lines of the journal: without one there is nowhere to put them."""
    write_suite(tmp_path, FILES)
    run = run_suite(tmp_path, "-q", "--ci-tools-journal", "off")
    assert [event for event in run.events if isinstance(event, CostsMeasured)] == []
