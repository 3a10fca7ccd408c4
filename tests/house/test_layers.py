"""The layer rule bites: each planted fault is found by the contracts in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

FAULTS = {
    "sideways import": ("ci_tools/policy/planted.py", "import ci_tools.sharding.static\n", "imports run down the storeys only"),
    "upward import": ("ci_tools/model/planted.py", "import ci_tools.config.load\n", "imports run down the storeys only"),
    "impure import": ("ci_tools/policy/planted.py", "import socket\n", "pure rooms touch no"),
    "config in a room": ("ci_tools/services/planted.py", "import ci_tools.config.schema\n", "only pipeline, pytest_plugin"),
    "heavy nox_sessions": ("ci_tools/nox_sessions.py", "\nimport ci_tools.errors\n", "nox_sessions imports nox"),
    "a new utils": ("ci_tools/utils/__init__.py", "", "utils"),
}


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"]
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    arguments = ["--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(
        [*command, *arguments], cwd=folder, env=environ, text=True, capture_output=True, timeout=120, check=False
    )


@pytest.fixture(name="copy")
def _copy(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT / "ci_tools", tmp_path / "ci_tools", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_house_keeps_its_contracts(copy: Path) -> None:
    """Every contract holds on the code as it is."""
    done = _lint_imports(copy)
    assert (done.returncode, "0 broken" in done.stdout) == (0, True), done.stdout


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_breaks_the_contracts(fault: str, copy: Path) -> None:
    """A fault against the layer rule makes import-linter fail and name the contract."""
    name, text, said = FAULTS[fault]
    path = copy / name
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + text, encoding="utf-8")
    done = _lint_imports(copy)
    output = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode, said in output) == (1, True), output
