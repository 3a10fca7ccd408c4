"""Our own ci.yml on the real reference platform: wheel built, installed with hashes, two shards with real Redis.

Simulated: see act_host.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from act_host import Host, Result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is tried on Linux only"),
]

FEWER = (
    """systems: '["ubuntu-24.04", "macos-15", "windows-2025"]'\n      shards: "4"\n""",
    """systems: '["ubuntu-24.04"]'\n      shards: "2"\n""",
)
"""The matrix of ci.yml, cut down to what one machine runs in minutes."""


CI = ".github/workflows/ci.yml"
TOKENS = "examples/agent_platform/src/agent_platform/tokens.py"
HOLE = ('if claims["env"] != self._environment:', "if False:")
"""A token of another environment is believed: one line of the platform, and several of its tests know better."""

FORK = {"sha": "0" * 40, "ref": "patch", "repo": {"fork": True, "full_name": "someone/ci-tools"}}
FORKED = {"action": "opened", "number": 7, "pull_request": {"number": 7, "head": FORK}}


def run_as_fork(host: Host) -> tuple[Result, dict[str, Any]]:
    """Run ci.yml's integration for a fork's pull request; what act did, and the verdict that was kept."""
    event = host.folder / "event.json"
    event.write_text(json.dumps(FORKED), encoding="utf-8")
    result = host.run("pull_request", "-j", "integration", "-e", str(event), cwd=host.folder / "toolkit", timeout_s=880)
    path = result.artifacts / "integration-verdict-ubuntu-24.04-py3.13-attempt-1/verdict.json"
    assert path.is_file(), result.tail()
    return result, json.loads(path.read_text(encoding="utf-8"))


def test_a_forks_pull_request_runs_the_reference_platform(tmp_path: Path) -> None:
    """Package, plan, two shards, verdict and gate of ci.yml pass for a fork's pull request, without a secret."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish(faults={CI: FEWER})
    result, verdict = run_as_fork(host)
    assert result.code == 0, result.tail()
    assert [path.suffix for path in sorted((result.artifacts / "packages").iterdir()) if path.suffix == ".whl"] == [".whl"]
    assert verdict["decision"] == "passed"
    assert verdict["counts"]["passed"] == verdict["expected"] >= 18
    assert {service["kind"] for service in verdict["services"]} == {"redis", "postgres"}


def test_a_hole_in_the_reference_platform_is_red(tmp_path: Path) -> None:
    """With one check on tokens taken out of the platform, the pull request's run fails, and the verdict names the test."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish(faults={CI: FEWER, TOKENS: HOLE})
    result, verdict = run_as_fork(host)
    assert (result.code != 0, verdict["decision"], verdict["exit_code"]) == (True, "failed", 10)
    failed = {test for cause in verdict["causes"] for test in cause["tests"]}
    assert failed == {"tests/integration/test_auth.py::test_a_token_of_another_kind_is_refused"}
    assert result.results_of("Judge the jobs") == ["failure"]


def test_the_consumer_job_passes(tmp_path: Path) -> None:
    """A stranger's project installs ci-tools by our action, gets Redis by our action, and its suite passes on it."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish()
    result = host.run("push", "-j", "consumer", "--matrix", "system:ubuntu-24.04", cwd=tmp_path / "toolkit", timeout_s=400)
    assert result.code == 0, result.tail()
    assert [result.results_of(step) for step in ("Run the suite of a stranger's project", "Stop Redis")] == [["success"]] * 2
    (verdict,) = (result.artifacts / "consumer-ubuntu-24.04-attempt-1").glob("*/verdict.json")
    told = json.loads(verdict.read_text(encoding="utf-8"))
    assert (told["decision"], told["counts"]["passed"]) == ("passed", 2)
    assert [service["provider"] for service in told["services"]] == ["adopted"]
