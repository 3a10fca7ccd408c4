"""Each CI system's own variables, through the command: its jobs run every test once between them, without an option."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ci_tools.model.codec import loads
from ci_tools.model.report import RunReport

pytestmark = pytest.mark.slow

FILES = 4
SYSTEMS: Mapping[str, tuple[Mapping[str, str], str, int]] = {
    "GitHub Actions": (
        {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "CI_TOOLS_JOB_TOTAL": "2"},
        "CI_TOOLS_JOB_INDEX",
        0,
    ),
    "GitLab": ({"GITLAB_CI": "true", "CI_PIPELINE_ID": "7", "CI_NODE_TOTAL": "2"}, "CI_NODE_INDEX", 1),
    "CircleCI": ({"CIRCLECI": "true", "CIRCLE_NODE_TOTAL": "2"}, "CIRCLE_NODE_INDEX", 0),
    "Buildkite": ({"BUILDKITE": "true", "BUILDKITE_PARALLEL_JOB_COUNT": "2"}, "BUILDKITE_PARALLEL_JOB", 0),
    "Azure Pipelines": ({"TF_BUILD": "True", "SYSTEM_TOTALJOBSINPHASE": "2"}, "SYSTEM_JOBPOSITIONINPHASE", 1),
    "Bazel": ({"TEST_TOTAL_SHARDS": "2"}, "TEST_SHARD_INDEX", 0),
}
"""What every job of two has, the variable that tells them apart, and its first value."""
PREFIXES = ("CI", "GITHUB_", "GITLAB_", "BUILDKITE", "SYSTEM_", "TF_BUILD", "TEST_", "PYTEST_")


def _ci_tools(root: Path, environ: Mapping[str, str], *arguments: str) -> None:
    """One verb, in this system's environment and no other's."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    done = subprocess.run(argv, cwd=root, env={**env, **environ}, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("has_plan", [True, False], ids=["shipped plan", "alone"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_two_jobs_run_every_test_once(tmp_path: Path, system: str, has_plan: bool) -> None:
    """Two jobs that differ in one variable run disjoint slices, Bazel's file is there, and the gate misses nothing."""
    common, variable, first = SYSTEMS[system]
    (tmp_path / "pyproject.toml").write_text("[tool.ci-tools]\n[tool.pytest.ini_options]\n", encoding="utf-8")
    for number in range(FILES):
        (tmp_path / f"test_{number}.py").write_text("def test_a():\n    pass\n", encoding="utf-8")
    arguments: tuple[str, ...] = ("--workers", "1", "--artifacts", "shards")
    if has_plan:
        _ci_tools(tmp_path, common, "plan", "--shards", "2", "--output", "plan.json")
        arguments += ("--plan", "plan.json")
    ran = []
    for job in (0, 1):
        status = tmp_path / f"status-{job}"
        environ = {**common, variable: str(first + job), "TEST_SHARD_STATUS_FILE": str(status)}
        _ci_tools(tmp_path, environ, "run", *arguments)
        assert status.exists() == (system == "Bazel")
        report = loads(RunReport, (tmp_path / "shards/latest/report.json").read_bytes())
        assert [shard.shard for shard in report.shards] == [f"{job + 1}/2"]
        ran.append({case.test_id for case in report.cases})
    assert [len(tests) for tests in ran] == [FILES // 2, FILES // 2]
    assert set.union(*ran) == {f"test_{number}.py::test_a" for number in range(FILES)}
    _ci_tools(tmp_path, common, "gate", "shards", *(("--plan", "plan.json") if has_plan else ()))
