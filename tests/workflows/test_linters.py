"""The linters themselves: each goes red on its own fault, planted into this repository's files, and `init` writes clean ones.

They are installed by the lock of `nox -s lint`, which runs this file too.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import linters

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(not (linters.BIN / "zizmor").exists(), reason="the linters are in the environment of `nox -s lint`"),
    pytest.mark.timeout(300),
]

FAULTS = {
    "a job without a timeout": ("jactionlint", ".github/workflows/ci.yml", "    timeout-minutes: 15\n", ""),
    "a variable without quotes (shellcheck)": (
        "actionlint",
        ".github/workflows/integration.yml",
        '--shards "$SHARDS"',
        "--shards $SHARDS",
    ),
    "an input that there is not": ("actionlint", ".github/workflows/ci.yml", "      shards: ", "      shrads: "),
    "a token left behind": (
        "zizmor",
        ".github/workflows/ci.yml",
        "        with:\n          persist-credentials: false\n",
        "",
    ),
    "an action by its tag": ("pinact", ".github/workflows/ci.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
    "a workflow off its schema": ("check-jsonschema", ".github/workflows/ci.yml", "      matrix:\n", "      matrices:\n"),
    "an action off its schema": ("check-jsonschema", ".github/actions/gate/action.yml", "using: composite", "using: magic"),
    "updates off their schema": ("check-jsonschema", ".github/dependabot.yml", "interval: weekly", "interval: never"),
    "Azure": ("check-jsonschema", "docs/guide/ci/azure-pipelines.yml", "dependsOn: plan", "dependsOn: {plan: 1}"),
    "Buildkite": ("check-jsonschema", "docs/guide/ci/buildkite.yml", "parallelism: 4", "parallelism: four"),
    "CircleCI": ("check-jsonschema", "docs/guide/ci/circleci.yml", "parallelism: 4", "parallelism: [4]"),
    "GitLab": ("check-jsonschema", "docs/guide/ci/gitlab-ci.yml", "parallel: 4", "parallel: 4.5"),
}


@pytest.mark.parametrize(("linter", "path", "old", "new"), FAULTS.values(), ids=FAULTS)
def test_a_linter_finds_its_fault(linter: str, path: str, old: str, new: str, tmp_path: Path) -> None:
    """Each fault is found by the linter that is there for it."""
    for folder in (".github", "docs/guide/ci"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (tmp_path / path).read_text(encoding="utf-8")
    assert old in text, "the fault no longer fits the file: plant it anew"
    (tmp_path / path).write_text(text.replace(old, new), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=30)
    assert linter in linters.lint(tmp_path, only=linter)


@pytest.mark.parametrize("before", ["", '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "mine"\nversion = "1"\n'])
def test_what_init_writes_is_clean(before: str, tmp_path: Path) -> None:
    """The workflow of `ci-tools init --github` gives none of our linters anything to say, for a package and for none."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True, timeout=30)
    if before:
        (tmp_path / "pyproject.toml").write_text(before, encoding="utf-8")
    init = [sys.executable, "-m", "ci_tools", "init", "--github"]
    subprocess.run(init, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert linters.lint(tmp_path) == []
