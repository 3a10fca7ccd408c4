"""``ci-tools init`` as a newcomer calls it: an empty repository becomes one whose suite passes on a real Redis."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import nox
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


def _tools(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_", "GITHUB_"))}
    command = [sys.executable, "-m", "ci_tools", *arguments]
    return subprocess.run(command, cwd=cwd, env=inherited, text=True, capture_output=True, timeout=TIMEOUT_S, check=False)


def test_an_empty_repository_runs_after_init(tmp_path: Path) -> None:
    """After init `ci-tools run` passes with a real Redis that the test touched, and the doctor finds nothing broken."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=30)
    made = _tools("init", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = _tools("run", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads((tmp_path / "ci-artifacts/latest/verdict.json").read_text(encoding="utf-8"))
    assert (verdict["decision"], verdict["expected"]) == ("passed", 1)
    examined = _tools("doctor", cwd=tmp_path)
    assert examined.returncode == 0, examined.stdout + examined.stderr
    status = subprocess.run(
        ["git", "-C", str(tmp_path), "status", "--short"], text=True, capture_output=True, check=True, timeout=30
    )
    assert "ci-artifacts" not in status.stdout


def test_the_noxfile_loads_where_only_nox_is(tmp_path: Path) -> None:
    """Nox lists the session `integration` of the noxfile that init wrote."""
    assert _tools("init", cwd=tmp_path).returncode == 0
    command = [sys.executable, "-m", "nox", "--list"]
    listed = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert (listed.returncode, "* integration" in listed.stdout) == (0, True), listed.stderr
    script = nox.project.load_toml(tmp_path / "noxfile.py")
    assert any(line.startswith("ci-tools") for line in script["dependencies"])


def test_the_workflow_calls_what_there_is(tmp_path: Path) -> None:
    """The workflow calls the reusable one by its path and with inputs that it has."""
    assert _tools("init", "--github", cwd=tmp_path).returncode == 0
    workflow = yaml.safe_load((tmp_path / ".github/workflows/integration.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["integration"]
    path = job["uses"].partition("@")[0].split("/", 2)[2]
    called = yaml.safe_load((PROJECT / path).read_text(encoding="utf-8"))
    assert set(job["with"]) <= set(called[True]["workflow_call"]["inputs"])
    assert (workflow["permissions"], job["permissions"]) == ({}, {"contents": "read"})


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """Tables are appended to a pyproject.toml: every line of before is still there, and pytest's own table is not doubled."""
    before = '[project]\nname = "mine" # a comment\nversion = "1"\n\n[tool.pytest.ini_options]\naddopts = ["-q"]'
    (tmp_path / "pyproject.toml").write_text(before, encoding="utf-8")
    assert _tools("init", cwd=tmp_path).returncode == 0
    text = (tmp_path / "pyproject.toml").read_text(encoding="utf-8")
    assert text.startswith(before)
    tool = tomllib.loads(text)["tool"]
    assert (tool["pytest"]["ini_options"], tool["ci-tools"]["services"]) == ({"addopts": ["-q"]}, {"redis": {"port": 6381}})


@pytest.mark.parametrize(
    "there", ["noxfile.py", "tests/integration/test_store.py", ".github/workflows/integration.yml", "pyproject.toml"]
)
def test_init_refuses_to_overwrite(there: str, tmp_path: Path) -> None:
    """One file that is there already is named, ends init with exit 2, and nothing at all is written."""
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[tool.ci-tools]\n" if there == "pyproject.toml" else "# mine\n", encoding="utf-8")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    done = _tools("init", "--github", cwd=tmp_path)
    said = "pyproject.toml has a [tool.ci-tools] table" if there == "pyproject.toml" else f"{there} exists"
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
