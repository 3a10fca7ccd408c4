"""What a run leaves behind holds no secret: everything in its folder is uploaded for anybody to download."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

VALUE = 's3cr3t-"v\\alué-XYZ'
TESTS = """
import logging, os, sys
import pytest

TOKEN = os.environ["SHOP_API_TOKEN"]

@pytest.fixture
def database():
    raise RuntimeError("no answer of postgresql://bob:hunter22@127.0.0.1/shop")

def test_says_it():
    print("token", TOKEN)
    os.write(1, TOKEN.encode())
    logging.getLogger("shop").error("token %s", TOKEN)
    raise RuntimeError(f"refused: {TOKEN}")

def test_of_a_database(database):
    pass

def test_skipped():
    pytest.skip(f"not with {TOKEN}")

def test_recorded(record_property):
    record_property("token", TOKEN)
    pytest.xfail(repr({"token": TOKEN}))

@pytest.mark.timeout(0.5)
def test_hangs():
    token = TOKEN
    import time
    time.sleep(60)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A suite that tells its secret in every way it can."""
    (tmp_path / "pyproject.toml").write_text('[tool.ci-tools]\ntests = ["tests"]\n')
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(TESTS)
    (tmp_path / "tests" / "test_b.py").write_text('import os\nraise ImportError(os.environ["SHOP_API_TOKEN"])\n')
    return tmp_path


def ci_tools(project: Path, *arguments: str, token: str = VALUE) -> subprocess.CompletedProcess[bytes]:
    """One command in the project, with the secret in its environment."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMP") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "ci_tools", *arguments],
        cwd=project,
        env={**known, "SHOP_API_TOKEN": token, "PYTHONUTF8": "1"},
        capture_output=True,
        timeout=120,
        check=False,
    )


def test_no_secret_is_left_in_any_file(project: Path) -> None:
    """Nothing in the run's folder has the secret or a URL's password, in any form; judged without it the run is the same.

    The evidence was masked before it was judged: its causes are those that a machine without the secret finds.
    """
    done = ci_tools(project, "run", "--workers", "1")
    assert done.returncode == 10, done.stderr
    files = [path for path in (project / "ci-artifacts").rglob("*") if path.is_file() and not path.is_symlink()]
    kinds = {path.name.partition("-")[0].partition(".")[0] for path in files}
    assert {"journal", "output", "shard", "junit", "report", "verdict", "ctrf", "summary"} <= kinds
    telling = [b"s3cr3t", b"-XYZ", b"hunter22"]
    assert [path.name for path in files if any(word in path.read_bytes() for word in telling)] == []
    assert [word for word in telling if word in done.stdout + done.stderr] == []
    verdict = project / "ci-artifacts" / "latest" / "verdict.json"
    assert "refused: ***" in [cause["title"].partition("Error: ")[2] for cause in json.loads(verdict.read_text())["causes"]]
    again = ci_tools(project, "verify", str(verdict), token=VALUE[::-1])
    assert (again.returncode, b"sound" in again.stdout) == (0, True), again.stdout


def test_a_test_named_by_a_secret_is_not_lost(project: Path) -> None:
    """A secret among a test's parameters stays in its ID, or the test would be lost and another unplanned."""
    (project / "tests" / "test_b.py").unlink()
    marks = '@pytest.mark.parametrize("token", [os.environ["SHOP_API_TOKEN"]])'
    (project / "tests" / "test_a.py").write_text(f"import os, pytest\n\n{marks}\ndef test_it(token):\n    assert token\n")
    done = ci_tools(project, "run", "--workers", "1")
    assert done.returncode == 0, done.stdout
