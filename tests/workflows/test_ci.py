"""Our own ci.yml on the real reference platform: wheel built, installed with hashes, two shards with real Redis.

Simulated: see act_host.
"""

import json
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from act_host import Host

pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("act") is None, reason="act is not installed on this platform")]

FEWER = ("""systems: '["ubuntu-24.04", "macos-15"]'\n      shards: 4""", """systems: '["ubuntu-24.04"]'\n      shards: 2""")
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
    assert {service["kind"] for service in verdict["services"]} == {"redis"}
