"""The reference platform as a repository of its own, wired as a stranger's would be."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_platforms_own_noxfile_takes_it_to_a_verdict(tmp_path: Path) -> None:
    """Copied out of this repository, with its own noxfile and environment, the platform's suite passes on real services."""
    consumer = tmp_path / "agent_platform"
    shutil.copytree(
        PROJECT / "examples/agent_platform", consumer, ignore=shutil.ignore_patterns("__pycache__", ".nox", "ci-artifacts")
    )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "PYTEST_", "NOX"))}
    environ = {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),  # the noxfile imports ci_tools.nox_sessions, as its inline dependencies would give it
        "CI_TOOLS_REQUIREMENT": f"ci-tools[redis,postgres] @ {PROJECT.as_uri()}",
    }
    command = [sys.executable, "-m", "nox", "-s", "integration"]
    done = subprocess.run(command, cwd=consumer, env=environ, text=True, capture_output=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads((consumer / "ci-artifacts/latest/verdict.json").read_text(encoding="utf-8"))
    assert (verdict["decision"], verdict["expected"] >= 18) == ("passed", True)
