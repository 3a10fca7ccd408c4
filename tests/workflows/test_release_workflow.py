"""Our own release.yml as a dry run: built once, tested, judged, and checked by ``ci-tools release check``.

Simulated: see act_host. Publishing itself is never executed here.
"""

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

RELEASE = ".github/workflows/release.yml"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
FEWER = (
    """systems: '["ubuntu-24.04", "macos-15", "windows-2025"]'\n      python-versions: '["3.11", "3.14"]'\n""",
    f"""systems: '["ubuntu-24.04"]'\n      python-versions: '["{PYTHON}"]'\n      shards: "2"\n""",
)
"""The matrix of release.yml, cut down to what one machine runs in minutes; what the check requires stays."""


def test_a_dry_run_checks_and_publishes_nothing(tmp_path: Path) -> None:
    """The check finds the wheel tested by every shard, misses exactly the systems and Pythons that were cut, and ends the run."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish(faults={RELEASE: FEWER})
    result = host.run("workflow_dispatch", "-W", RELEASE, cwd=tmp_path / "toolkit", timeout_s=880)
    assert result.results_of("Check that these bytes were tested") == ["failure"], result.tail()
    missing = [name for name in ("system", "python") if f"  {name}: no shard ran on {name}" in result.log]
    assert "release refused: " in result.log
    reasons = {word for word in ("verdict", "sound", "profile", "commit", "age", "wheel") if f'"  {word}: ' in result.log}
    assert (reasons, "system" in missing) == (set(), True), result.tail()
    assert result.results_of("Publish them") == []
