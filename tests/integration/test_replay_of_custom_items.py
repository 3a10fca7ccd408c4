"""Items of a custom collector, whose names pytest does not find as arguments, are repeated and bisected like any other."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ci_tools.pipeline.sequence import load_recording

pytestmark = pytest.mark.slow

CONFTEST = """
import os
import pytest


def pytest_collect_file(parent, file_path):
    if file_path.suffix == ".cases":
        return Cases.from_parent(parent, path=file_path)


class Cases(pytest.File):
    def collect(self):
        for name in self.path.read_text().splitlines():
            yield Case.from_parent(self, name=name)


class Case(pytest.Item):
    def runtest(self):
        if "breaks" in self.name:
            os.environ["BROKEN"] = "1"
        assert "victim" not in self.name or "BROKEN" not in os.environ
"""
NAMES = ("first", "a::b", "x::breaks [1]", "::", "other", "the::victim")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of one file of such items, one of which breaks another, and of one of plain tests."""
    (tmp_path / "pyproject.toml").write_text("[tool.ci-tools.guards.leaks]\nenvironment = 'off'\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "all.cases").write_text("\n".join(NAMES), encoding="utf-8")
    (tmp_path / "test_plain.py").write_text("def test_a():\n    pass\n\n\ndef test_b():\n    pass\n", encoding="utf-8")
    return tmp_path


def _ci_tools(root: Path, *arguments: str) -> tuple[int, str]:
    """Exit code of one verb, and all that it said."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=150)
    return done.returncode, done.stdout + done.stderr


def test_they_are_repeated_and_bisected(root: Path) -> None:
    """A run's order of items with ``::`` in their names is the replay's order; the one that breaks the victim is found."""
    code, said = _ci_tools(root, "run", "-n", "1", "--artifacts", "runs")
    assert (code, "7/8 passed" in said) == (10, True), said
    recorded = load_recording(root / "runs/latest").test_ids
    assert recorded[: len(NAMES)] == tuple(f"all.cases::{name}" for name in NAMES)
    code, said = _ci_tools(root, "run", "--replay", "runs/latest", "--artifacts", "again")
    assert (code, "7/8 passed" in said) == (10, True), said
    assert load_recording(root / "again/latest").test_ids == recorded
    code, said = _ci_tools(root, "bisect", "all.cases::the::victim", "--run", "runs/latest")
    assert (code, "\n  all.cases::x::breaks [1]\n" in said) == (0, True), said
    repeat = next(line for line in said.splitlines() if line.startswith("repeat: "))
    code, said = _ci_tools(root, *shlex.split(repeat)[2:])
    assert (code, "1/2 passed" in said) == (10, True), said
