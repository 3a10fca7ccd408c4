"""The stage plan asks pytest for the tests once for each environment, not once for each configuration."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci_tools.model.plan import parse_plan

SUITE = """
import os

with open("imports.txt", "a") as file:
    file.write("imported\\n")

NAMES = os.environ.get("CASES", "one two").split()


def pytest_generate_tests(metafunc):
    metafunc.parametrize("name", NAMES)


def test_it(name):
    pass
"""
CONFIGURED = """
[tool.ci-tools]
tests = ["tests"]
[tool.ci-tools.services.redis]
[tool.ci-tools.configurations.bare]
[tool.ci-tools.configurations.served]
services = ["redis"]
"""


@pytest.mark.parametrize(
    ("environment", "imports", "cases"),
    [("", 1, (2, 2)), ('environment = {CASES = "one two three"}', 2, (2, 3))],
    ids=["same environment", "another environment"],
)
def test_each_environment_is_collected_once(tmp_path: Path, environment: str, imports: int, cases: tuple[int, int]) -> None:
    """Two configurations that differ in their services share one collection; with variables of its own each has its own."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(CONFIGURED + environment, encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_"))}
    argv = [sys.executable, "-m", "ci_tools", "plan", "--output", "plan.json"]
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    plans = [parse_plan((tmp_path / name).read_bytes(), where=name) for name in ("plan.json", "plan-served.json")]
    assert [plan.configuration for plan in plans] == ["bare", "served"]
    assert tuple(len(plan.shards[0].test_ids) for plan in plans) == cases
    assert (tmp_path / "imports.txt").read_text() == "imported\n" * imports
