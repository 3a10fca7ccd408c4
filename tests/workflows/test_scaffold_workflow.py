"""What `ci-tools init --github` writes, executed as its repository's workflow with act on this host (simulated: see act_host)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from act_host import SELF, Host, Result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="act's host mode is tried on Linux only"),
]

PACKAGE = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "mine"
version = "1"
""",
    "src/mine/__init__.py": "",
}
WORKFLOW = ".github/workflows/integration.yml"
UNSET = "OWNER/ci-tools/.github/workflows/integration.yml@" + "0" * 40


def initialised(host: Host, files: dict[str, str]) -> None:
    """A repository with these files after init, where the person has put in owner and commit as the comment asks."""
    host.stranger.mkdir()
    host.write(files)
    init = [sys.executable, "-m", "ci_tools", "init", "--github"]
    subprocess.run(init, cwd=host.stranger, check=True, capture_output=True, timeout=60)
    text = (host.stranger / WORKFLOW).read_text(encoding="utf-8")
    assert UNSET in text
    host.write({WORKFLOW: text.replace(UNSET, f"{SELF}/.github/workflows/integration.yml@v1")})


def decision(result: Result) -> str:
    """The decision of the one verdict that was kept."""
    (path,) = result.artifacts.glob("integration-verdict-*/verdict.json")
    return str(json.loads(path.read_text(encoding="utf-8"))["decision"])


def test_a_new_package_passes_in_ci(tmp_path: Path) -> None:
    """A package, installed with ci-tools by the real set-up action, gets its first green run on a real Redis."""
    host = Host(tmp_path, is_setup_real=True)
    host.publish()
    initialised(host, PACKAGE)
    result = host.run(timeout_s=500)
    assert result.code == 0, result.tail()
    assert decision(result) == "passed"
    assert result.results_of("Judge the jobs") == ["success"]


def test_a_broken_first_test_is_red(tmp_path: Path) -> None:
    """The first test, made to expect another value, turns shard, verdict and gate red."""
    host = Host(tmp_path)
    host.publish()
    initialised(host, {})
    test = host.stranger / "tests/integration/test_store.py"
    host.write({"tests/integration/test_store.py": test.read_text(encoding="utf-8").replace('b"hello"', 'b"bye"')})
    result = host.run(timeout_s=240)
    assert result.code != 0
    assert decision(result) == "failed"
    assert result.results_of("Judge the jobs") == ["failure"]
