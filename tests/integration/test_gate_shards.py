"""Shards run for real and judged in another place: by which settings each ran, and which marked tests there were."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PROJECT = """
[project]
name = "shop"
version = "1"
[tool.ci-tools]
tests = ["tests"]
[tool.ci-tools.gate]
required-markers = ["smoke"]
[tool.pytest.ini_options]
markers = ["smoke", "slow"]
"""

MARKED = "import pytest\n\n@pytest.mark.smoke\n@pytest.mark.parametrize('n', [1, 2])\ndef test_pays(n):\n    {body}\n"
PLAIN = "def test_greets():\n    assert 'a' in 'abc'\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two files of tests, one for each shard; those of the first are smoke tests."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(MARKED.format(body="assert n"))
    (tmp_path / "tests" / "test_b.py").write_text(PLAIN)
    return tmp_path


def ci_tools(project: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One command in the project, outside of any CI."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMP") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "ci_tools", *arguments],
        cwd=project,
        env={**known, "CI_TOOLS_RUN_ID": "run-7", **(environ or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def shard(project: Path, index: int, *pytest_args: str, environ: Mapping[str, str] | None = None) -> Path:
    """Run one of two shards; its folder."""
    folder = project / "out" / f"{index}-{len(list(project.glob('out/*')))}"
    command = ["run", "--shard", f"{index}/2", "--plan", str(project / "plan.json"), "--artifacts", str(folder), "--workers", "1"]
    done = ci_tools(project, *command, *(["--", *pytest_args] if pytest_args else []), environ=environ)
    assert done.returncode in {0, 10}, done.stdout + done.stderr
    return folder


def gate(project: Path, *folders: Path) -> tuple[int, dict[str, dict[str, object]]]:
    """The exit code, and what each rule answered."""
    verdict = project / "gate" / "verdict.json"
    done = ci_tools(project, "gate", *map(str, folders), "--output", str(verdict.parent))
    return done.returncode, {rule["rule"]: rule for rule in json.loads(verdict.read_text())["rules"]}


def test_a_shard_that_ran_by_other_settings_does_not_pass(project: Path) -> None:
    """Shards that show and store differently are one run; one with another pytest.ini and option is not, and both are named."""
    assert ci_tools(project, "plan", "--shards", "2").returncode == 0
    first = shard(project, 1, "-v", f"--junitxml={project}/one.xml")
    alike = shard(project, 2, "-q", "--tb", "short", environ={"PYTEST_ADDOPTS": "--color=no"})
    code, rules = gate(project, first, alike)
    assert (code, rules["one-run"]["details"]) == (0, [])

    (project / "pytest.ini").write_text("[pytest]\nxfail_strict = true\nmarkers = smoke\n")
    other = shard(project, 2, "-W", "ignore")
    code, rules = gate(project, first, other)
    said = str(rules["one-run"]["details"])
    assert (code, rules["one-run"]["holds"]) == (11, False)
    assert " ran by other settings than the other shards (arguments, pytest): expected the same " in said


@pytest.mark.parametrize(
    ("body", "deselect", "expected"),
    [
        ("assert n", (), (0, [])),
        ("pytest.skip('today not')", (), (10, [f"smoke: tests/test_a.py::test_pays[{n}] did not pass" for n in (1, 2)])),
        ("assert n", ("-m", "not smoke"), (10, ["smoke: no test of this run has it"])),
    ],
)
def test_tests_with_a_required_mark_must_run_and_pass(
    project: Path, body: str, deselect: tuple[str, ...], expected: tuple[int, list[str]]
) -> None:
    """A smoke test that is skipped, and a selection that leaves all of them out, break the rule, with pytest-xdist too."""
    (project / "tests" / "test_a.py").write_text(MARKED.format(body=body))
    done = ci_tools(project, "run", "--workers", "2", *(["--", *deselect] if deselect else []))
    verdict = json.loads((project / "ci-artifacts" / "latest" / "verdict.json").read_text())
    rule = next(rule for rule in verdict["rules"] if rule["rule"] == "required-markers-passed")
    assert (done.returncode, rule["details"]) == expected


def test_a_marked_test_that_took_its_worker_along_did_not_pass(project: Path) -> None:
    """Which tests have the mark is known from the collection, so that no crash can make it forgotten."""
    (project / "tests" / "test_a.py").write_text(MARKED.format(body="import os; os.kill(os.getpid(), 9)"))
    ci_tools(project, "run", "--workers", "1")
    verdict = json.loads((project / "ci-artifacts" / "latest" / "verdict.json").read_text())
    rule = next(rule for rule in verdict["rules"] if rule["rule"] == "required-markers-passed")
    assert rule["details"] == [f"smoke: tests/test_a.py::test_pays[{n}] did not pass" for n in (1, 2)]
