"""The switch shares the one timer of faulthandler with the code under test, and neither loses by it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="a C call that keeps the interpreter's lock, by the name that POSIX has"
)

_BEGIN = """
import ctypes, faulthandler, sys, threading, time
from pathlib import Path
from ci_tools.pytest_plugin.switch import Switch

ORIGINALS = faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later
THEIRS = open("theirs", "w")

def wait_for_theirs():
    pause, deadline = threading.Event(), time.monotonic() + 60
    while not Path("theirs").stat().st_size:
        assert time.monotonic() < deadline
        pause.wait(0.01)

switch = Switch(Path("stacks"))
switch.open()
"""
_HOLD = "ctypes.PyDLL(None).sleep(600)"
ENDS = {
    "theirs is taken away": "switch.arm(time.monotonic() + 0.3); faulthandler.cancel_dump_traceback_later()",
    "theirs comes later": "switch.arm(time.monotonic() + 0.3); faulthandler.dump_traceback_later(600, exit=False)",
    "theirs came first": (
        "end = time.monotonic() + 0.5; switch.arm(end); faulthandler.dump_traceback_later(0.05, file=THEIRS);"
        "wait_for_theirs(); switch.arm(end)"
    ),
    "theirs comes again and again": (
        "switch.arm(time.monotonic() + 600); faulthandler.dump_traceback_later(0.05, repeat=True, file=THEIRS);"
        "wait_for_theirs(); switch.reclaim(); switch.arm(time.monotonic() + 0.3)"
    ),
}
LIVES = {
    "theirs comes first": (
        "switch.arm(time.monotonic() + 600); faulthandler.dump_traceback_later(0.05, file=THEIRS);"
        "switch.arm(time.monotonic() + 600); wait_for_theirs()"
    ),
    "no deadline any more": (
        "switch.arm(time.monotonic() + 0.1); faulthandler.dump_traceback_later(0.3, file=THEIRS); switch.cancel();"
        "wait_for_theirs()"
    ),
}
_END = """
switch.close()
assert (faulthandler.dump_traceback_later, faulthandler.cancel_dump_traceback_later) == ORIGINALS
assert not Path("stacks").exists()
"""


def _run(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("theirs", ENDS)
def test_the_switch_fires_whatever_the_code_did_with_the_timer(tmp_path: Path, theirs: str) -> None:
    """No thread of Python runs then; the stacks are in the switch's own file."""
    ended = _run(tmp_path, f"{_BEGIN}{ENDS[theirs]}\n{_HOLD}\n")
    assert ended.returncode == 1, ended.stderr
    assert "<module>" in (tmp_path / "stacks").read_text(encoding="utf-8")


@pytest.mark.parametrize("theirs", LIVES)
def test_what_the_code_sets_fires_where_it_comes_first(tmp_path: Path, theirs: str) -> None:
    """And the process lives on; afterwards everything is as it was."""
    ended = _run(tmp_path, f"{_BEGIN}{LIVES[theirs]}\n{_END}")
    assert ended.returncode == 0, ended.stderr
    assert "<module>" in (tmp_path / "theirs").read_text(encoding="utf-8")
