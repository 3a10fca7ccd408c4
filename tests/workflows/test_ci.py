"""Our own ci.yml on the real reference platform: wheel built, installed with hashes, two shards with real Redis.

Simulated: see act_host.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from act_host import Host

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


def test_a_forks_pull_request_runs_the_reference_platform(tmp_path: Path) -> None:
    """Package, plan, two shards, verdict and gate of ci.yml pass for a fork's pull request, without a secret."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish(faults={".github/workflows/ci.yml": FEWER})
    event = tmp_path / "event.json"
    head = {"sha": "0" * 40, "ref": "patch", "repo": {"fork": True, "full_name": "someone/ci-tools"}}
    event.write_text(json.dumps({"action": "opened", "number": 7, "pull_request": {"number": 7, "head": head}}), encoding="utf-8")
    result = host.run("pull_request", "-j", "integration", "-e", str(event), cwd=tmp_path / "toolkit", timeout_s=900)
    assert result.code == 0, result.tail()
    assert [path.suffix for path in sorted((result.artifacts / "packages").iterdir()) if path.suffix == ".whl"] == [".whl"]
    verdict = json.loads((result.artifacts / "integration-verdict-ubuntu-24.04-py3.13/verdict.json").read_text(encoding="utf-8"))
    assert verdict["decision"] == "passed"
    assert verdict["counts"]["passed"] == verdict["expected"] >= 18
    assert {service["kind"] for service in verdict["services"]} == {"redis", "postgres"}


def test_the_consumer_job_passes(tmp_path: Path) -> None:
    """A stranger's project installs ci-tools by our action, gets Redis by our action, and its suite passes on it."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish()
    result = host.run("push", "-j", "consumer", "--matrix", "system:ubuntu-24.04", cwd=tmp_path / "toolkit", timeout_s=400)
    assert result.code == 0, result.tail()
    assert [result.results_of(step) for step in ("Run the suite of a stranger's project", "Stop Redis")] == [["success"]] * 2
    (verdict,) = (result.artifacts / "consumer-ubuntu-24.04").glob("*/verdict.json")
    told = json.loads(verdict.read_text(encoding="utf-8"))
    assert (told["decision"], told["counts"]["passed"]) == ("passed", 2)
    assert [service["provider"] for service in told["services"]] == ["adopted"]
