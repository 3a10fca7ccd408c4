"""A suite that nobody wrote for us, whole, over eight shards and in one run: networkx' own, from its wheel."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ci_tools.model.codec import loads
from ci_tools.model.plan import parse_plan
from ci_tools.model.report import RunReport

SHARDS = 8
TABLE = """
[tool.ci-tools]
tests = ["networkx"]
[tool.ci-tools.guards]
timeout = 0
[tool.pytest.ini_options]
"""
OUTCOMES = """
import json

found = {}


def pytest_runtest_logreport(report):
    outcome = {"passed": "passed", "skipped": "skipped", "failed": "failed" if report.when == "call" else "error"}[report.outcome]
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if report.skipped else "xpassed"
    if report.when == "call" or outcome != "passed":
        found[report.nodeid] = outcome


def pytest_sessionfinish():
    with open("outcomes.json", "w") as stream:
        json.dump(found, stream)
"""


def _one_run(root: Path) -> dict[str, str]:
    """What bare pytest says of every test, without the toolkit."""
    (root / "outcomes.py").write_text(OUTCOMES, encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:ci_tools", "-p", "outcomes", "-p", "no:cacheprovider", "networkx"]
    done = subprocess.run(
        argv, cwd=root, env=_environ() | {"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == 0, done.stdout[-3000:]
    outcomes: dict[str, str] = json.loads((root / "outcomes.json").read_text(encoding="utf-8"))
    return outcomes


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}


def _ci_tools(root: Path, *arguments: str) -> None:
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    done = subprocess.run(argv, cwd=root, env=_environ(), capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(importlib.util.find_spec("networkx") is None, reason="`nox -s slow` installs networkx")
def test_eight_shards_are_one_run(tmp_path: Path) -> None:
    """The same test IDs and the same outcomes, each test once, with every file but the cut ones imported by one shard."""
    spec = importlib.util.find_spec("networkx")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, tmp_path / "networkx", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "pyproject.toml").write_text(TABLE, encoding="utf-8")
    whole = _one_run(tmp_path)
    _ci_tools(tmp_path, "plan", "--shards", str(SHARDS), "--output", "plan.json")
    plan = parse_plan((tmp_path / "plan.json").read_bytes())
    assert sorted(whole) == list(plan.test_ids)
    sharded: Counter[tuple[str, str]] = Counter()
    for shard in plan.filled:
        _ci_tools(tmp_path, "run", "--plan", "plan.json", "--shard", str(shard.ref), "--workers", "1")
        report = loads(RunReport, (tmp_path / "ci-artifacts/latest/report.json").read_bytes())
        sharded.update((case.test_id, str(case.outcome)) for case in report.cases)
    assert len(whole) > 6000
    assert Counter(whole.items()) == sharded
    assert int(plan.facts["file_parts"]) <= 1.05 * int(plan.facts["files"])
