"""A pytest-xdist worker has nothing to live for without its controller, and ends with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from suites import write_suite

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

LIMIT_S = 3.0 * min(3.0, max(1.0, psutil.getloadavg()[0] / (os.cpu_count() or 1)))
"""pytest-xdist itself gives a worker five seconds; on a busy machine, too, the tear-down takes longer."""

SUITE = """
import os
import threading
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def thing():
    yield
    threading.Event().wait(0.3)  # a second Ctrl-C would come here
    Path("torn-down").touch()


def test_waits(thing):
    Path("part").write_text(str(os.getpid()))
    Path("part").rename("waiting")
    threading.Event().wait(60)
"""


def is_within(limit_s: float, path: Path) -> bool:
    """Whether the file is there in time."""
    deadline = time.monotonic() + limit_s
    while not path.exists() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return path.exists()


@pytest.mark.parametrize("manner", [signal.SIGKILL, signal.SIGINT])
def test_a_worker_ends_with_its_controller(tmp_path: Path, manner: signal.Signals) -> None:
    """Killed or interrupted alone, a controller takes its worker with it, in less time than pytest-xdist allows.

    The fixtures of an interrupted one are torn down to their end; a killed one's have two seconds, which may not do.
    """
    write_suite(tmp_path, {"test_it.py": SUITE})
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "1"]
    with (tmp_path / "output.txt").open("w") as sink:
        controller = subprocess.Popen(argv, cwd=tmp_path, stdout=sink, stderr=sink, start_new_session=True)
    worker = None
    try:
        assert is_within(60, tmp_path / "waiting"), (tmp_path / "output.txt").read_text()
        worker = psutil.Process(int((tmp_path / "waiting").read_text()))
        began = time.monotonic()
        controller.send_signal(manner)
        gone, _ = psutil.wait_procs([worker], timeout=LIMIT_S)
        assert [worker] == gone, f"still there after {time.monotonic() - began:.1f} s"
        assert manner is signal.SIGKILL or is_within(0, tmp_path / "torn-down")
        controller.wait(20)
    finally:
        if worker is not None and worker.is_running():
            worker.kill()
        controller.kill()
        controller.wait(10)
