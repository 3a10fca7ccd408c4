"""Bisection over what a CI run left behind: shards, attempts and configurations in folders of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CONFIG = """
[tool.ci-tools]
workers = 1

[tool.ci-tools.configurations.plain]
services = []

[tool.ci-tools.configurations.poisoned]
services = []
environment = { POISON = "1" }
"""
FILES = {
    "pyproject.toml": CONFIG + "\n[tool.pytest.ini_options]\naddopts = '-p no:randomly'\n",
    "state.py": "SEEN = []\n",
    "conftest.py": "",
    "test_a.py": "import os\nimport state\n\n\ndef test_poison():\n    state.SEEN.extend(os.environ.get('POISON', ''))\n",
    "test_b.py": "def test_other():\n    pass\n",
    "test_c.py": "import state\n\n\ndef test_victim():\n    assert not state.SEEN\n",
}


def _ci_tools(root: Path, *arguments: str) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_", "PYTEST_"))}
    argv = [sys.executable, "-m", "ci_tools", *arguments]
    done = subprocess.run(argv, cwd=root, env=env, capture_output=True, text=True, check=False, timeout=150)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose last test fails after its first one in the second configuration only."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_order_of_the_configuration_that_failed(root: Path) -> None:
    """Of two configurations' journals the one in which the test failed counts, and its environment is that of every trial."""
    assert _ci_tools(root, "run", "--artifacts", "kept")[0] == 10
    code, said = _ci_tools(root, "bisect", "test_c.py::test_victim", "--run", "kept")
    assert (code, "it fails after 1 of 2 test(s)" in said, "  test_a.py::test_poison\n" in said) == (0, True, True), said
    code, said = _ci_tools(root, "bisect", "test_c.py::test_victim", "--run", "kept", "--configuration", "plain")
    assert (code, "2 test(s) ran before test_c.py::test_victim in its worker, and it was green" in said) == (10, True), said


def test_a_run_that_is_not_there(root: Path) -> None:
    """Neither a run that nobody made nor a test that did not run is a fault: both are said, with what to do."""
    code, said = _ci_tools(root, "bisect", "test_c.py::test_victim", "--run", "gone")
    assert (code, "the run 'gone' is not there" in said, "hint:" in said) == (2, True, True), said
    (root / "empty").mkdir()
    code, said = _ci_tools(root, "bisect", "test_c.py::test_victim", "--run", "empty")
    assert (code, "'test_c.py::test_victim' did not run in empty" in said) == (2, True), said
