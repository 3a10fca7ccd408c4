"""What a run leaves behind holds no secret: everything in its folder is uploaded for anybody to download."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
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


def environment(token: str) -> dict[str, str]:
    """Two secrets, and what a process needs to run."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT", "TMP") if name in os.environ}
    return {**known, "SHOP_API_TOKEN": token, "OLD_API_TOKEN": "0ld-s3cr3t-value", "PYTHONUTF8": "1"}


def ci_tools(project: Path, *arguments: str, token: str = VALUE) -> subprocess.CompletedProcess[bytes]:
    """One command in the project, with the secret in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "ci_tools", *arguments],
        cwd=project,
        env=environment(token),
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


def test_a_killed_run_leaves_no_secret_to_be_uploaded(project: Path) -> None:
    """SIGKILL ends ci-tools in the middle; what it leaves for the next step to upload was masked when it was written."""
    (project / "tests" / "conftest.py").write_text(WAITS_AT_THE_END)
    (project / "tests" / "test_b.py").unlink()
    command = [sys.executable, "-m", "ci_tools", "run", "--workers", "1"]
    folder = project / "ci-artifacts" / "latest"
    with subprocess.Popen(command, cwd=project, env=environment(VALUE), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        assert run.stdout is not None
        wait_for((project / "all-have-run").exists)
        run.kill()
        run.wait(60)
    uploaded = [path for path in folder.rglob("*") if path.is_file()]
    journals = b"".join(path.read_bytes() for path in uploaded if path.suffix == ".jsonl")
    assert (b"test_recorded" in journals, b"refused: ***" in journals, b"bob:***@" in journals) == (True, True, True)
    telling = [b"s3cr3t", b"-XYZ", b"hunter22"]
    assert [path.name for path in uploaded if any(word in path.read_bytes() for word in telling)] == []


def test_a_secret_among_parameters_is_named_by_its_variable(project: Path) -> None:
    """An ID has ``<VARIABLE>`` in place of the value: no file holds it, two secrets are two tests, pytest finds them by it."""
    (project / "tests" / "test_b.py").unlink()
    (project / "tests" / "test_a.py").write_text(PARAMETERS)
    done = ci_tools(project, "run", "--workers", "2")
    assert done.returncode == 0, done.stdout
    cases = json.loads((project / "ci-artifacts" / "latest" / "report.json").read_text())["cases"]
    named = {f"tests/test_a.py::test_it[{name}]" for name in ("<SHOP_API_TOKEN>", "<OLD_API_TOKEN>", "plain\\xe9")}
    url = "tests/test_a.py::test_url[https://<SHOP_API_TOKEN>@shop.example/\\n]"
    assert {case["test_id"] for case in cases} == {*named, url}
    files = [path for path in (project / "ci-artifacts").rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path.name for path in files if any(word in path.read_bytes() for word in (b"s3cr3t", b"-XYZ"))] == []
    again = ci_tools(project, "run", "tests/test_a.py::test_it[<OLD_API_TOKEN>]")
    assert (again.returncode, b"1/1 passed" in again.stdout) == (0, True), again.stdout


WAITS_AT_THE_END = """
import pathlib, time

RAN = []

def pytest_runtest_logfinish(nodeid):
    RAN.append(nodeid)

def pytest_sessionfinish():
    if RAN:  # not where the plan is made
        pathlib.Path("all-have-run").touch()
        time.sleep(60)
"""

PARAMETERS = """
import os, pytest

TOKEN, OLD = os.environ["SHOP_API_TOKEN"], os.environ["OLD_API_TOKEN"]

@pytest.mark.parametrize("token", [TOKEN, OLD, "plainé"])
def test_it(token):
    assert token in {TOKEN, OLD, "plainé"}

@pytest.mark.parametrize("url", [f"https://{TOKEN}@shop.example/\\n"])
def test_url(url):
    assert TOKEN in url
"""


def wait_for(is_so: Callable[[], bool]) -> None:
    """Look until it is so, for a minute at most."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
