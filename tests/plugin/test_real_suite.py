"""A suite from PyPI whose tests leave children and terminals behind ends in bounded time, with everything accounted for."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from suites import run_suite

from ci_tools.model.journal import TestsCollected

SUITE, NEEDED = "pexpect==4.9.0", "ptyprocess==0.7.0"
FILES = ("tests/test_misc.py", "tests/test_replwrap.py", "tests/test_async.py", "tests/test_popen_spawn.py")
"""They start shells in terminals of their own and leave many to the garbage collector, also in forked children."""
LONGEST_S = 240.0


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_suite_that_leaves_children_behind(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Each collected test has one outcome, leaks are named with their lines, and no process is left."""
    folder, needed = _unpacked(tmp_path, SUITE), _unpacked(tmp_path, NEEDED)
    path = os.pathsep.join((str(folder), str(needed), os.environ.get("PYTHONPATH", "")))
    run = run_suite(folder, "-q", *arguments, *FILES, environ={"PYTHONPATH": path}, timeout_s=LONGEST_S)
    collected = {test_id for event in run.events if isinstance(event, TestsCollected) for test_id in event.test_ids}
    assert run.returncode == 1, run.output
    assert len(collected) >= 60
    assert collected == run.outcomes.keys()
    assert run.left_behind == ()
    assert run.end_markers == len(run.journals)
    running = [event.leak.what for event in run.leaks if event.leak.kind == "process" and "is still running" in event.leak.what]
    assert any("(cat)" in what for what in running), run.output


def _unpacked(folder: Path, suite: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder), suite]
    subprocess.run(command, check=True, timeout=180, capture_output=True)
    name = suite.replace("==", "-")
    with tarfile.open(folder / f"{name}.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / name
