"""Guarded processes, with real processes throughout."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ci_tools.host import process

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="sessions, signals and shells are POSIX")
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
DEADLINE_S = 3.0

Start = Callable[..., process.GuardedProcess]

pytestmark = POSIX_ONLY


def holds_within(condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> bool:
    """Whether the condition comes true before the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def is_running(pid: int) -> bool:
    """Whether a process does anything still: a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts guarded processes that are ended after the test."""
    started: list[process.GuardedProcess] = []

    def start_one(
        *argv: str, env: dict[str, str] | None = None, end_signal: process.EndSignal = "TERM"
    ) -> process.GuardedProcess:
        environment = {**os.environ, **(env or {})}
        one = process.start(argv, env=environment, cwd=tmp_path, output=tmp_path / "output.txt", end_signal=end_signal)
        started.append(one)
        return one

    yield start_one
    for one in started:
        one.end(0)


def test_the_childs_own_exit_code_is_known(start: Start) -> None:
    """A child that exits with 7 gives 7, from wait, poll and end alike."""
    child = start("sh", "-c", "exit 7")
    assert (child.wait(5), child.poll(), child.end(0)) == (7, 7, 7)


def test_a_signal_is_a_negative_return_code(start: Start) -> None:
    """A child that a signal ended gives the signal's number, negative."""
    child = start("sh", "-c", "kill -SEGV $$")
    assert child.wait(5) == -signal.SIGSEGV


def test_wait_gives_none_when_the_child_still_runs(start: Start) -> None:
    """Waiting has an end also when the child has none."""
    assert start("sleep", "60").wait(0.05) is None


def test_both_outputs_reach_the_file_and_standard_input_is_empty(start: Start, tmp_path: Path) -> None:
    """Output and errors are in the file in order; reading standard input ends at once."""
    start("sh", "-c", "echo one; echo two >&2; cat; echo three").wait(5)
    assert (tmp_path / "output.txt").read_text() == "one\ntwo\nthree\n"


def test_the_environment_arrives_whole(start: Start, tmp_path: Path) -> None:
    """Also a variable whose name no shell could write, and a value with a line break, reach the child."""
    code = "import os; print(os.environ['A.B'], repr(os.environ['C']))"
    start(sys.executable, "-c", code, env={"A.B": "kept", "C": "x\ny"}).wait(5)
    assert (tmp_path / "output.txt").read_text() == "kept 'x\\ny'\n"


def test_the_child_leads_a_session_of_its_own(start: Start) -> None:
    """Ctrl-C at our terminal does not reach the child: its session and group are its own."""
    child = start("sleep", "60")
    assert (child.pid, child.pid) == (os.getsid(child.pid), os.getpgid(child.pid))


def test_a_program_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    """A missing program raises at once and leaves no process."""
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(FileNotFoundError, match="no-such-server"):
        process.start(["no-such-server"], env={"PATH": os.environ["PATH"]}, cwd=tmp_path, output=tmp_path / "o")
    assert before == {child.pid for child in psutil.Process().children()}


def test_a_folder_that_is_not_there_leaves_no_process(tmp_path: Path) -> None:
    """When the child cannot start, its guard is gone too."""
    before = {child.pid for child in psutil.Process().children()}
    with pytest.raises(FileNotFoundError):
        process.start(["sleep", "60"], env={"PATH": os.environ["PATH"]}, cwd=tmp_path / "missing", output=tmp_path / "o")
    assert before == {child.pid for child in psutil.Process().children()}


def test_end_asks_first(start: Start) -> None:
    """A child that answers TERM ends with its own exit code within the grace period."""
    child = start("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.01; done")
    assert holds_within(lambda: "ready" in child.output.read_text())
    assert child.end(5) == 5


def test_end_kills_who_does_not_listen(start: Start) -> None:
    """A child that ignores TERM is killed after the grace period."""
    child = start("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    assert holds_within(lambda: "ready" in child.output.read_text())
    assert child.end(0.1) == -signal.SIGKILL


def test_end_twice_is_the_same_as_once(start: Start) -> None:
    """The second end gives the first one's answer."""
    child = start("sleep", "60")
    assert child.end(1) == child.end(1) == -signal.SIGTERM


def test_end_reaches_the_whole_group(start: Start) -> None:
    """A grandchild that stayed in the group, and whose parent is gone, ends with it."""
    child = start("sh", "-c", "sleep 61 & echo $!; exit 0")
    assert child.wait(5) == 0
    grandchild = int(child.output.read_text())
    assert is_running(grandchild)
    child.end(0)
    assert holds_within(lambda: not is_running(grandchild))


def test_end_reaches_a_descendant_that_left_the_session(start: Start) -> None:
    """A grandchild in a session of its own ends too."""
    code = (
        "import subprocess, time;print(subprocess.Popen(['sleep', '62'], start_new_session=True).pid, flush=True); time.sleep(60)"
    )
    child = start(sys.executable, "-c", code)
    assert holds_within(lambda: child.output.read_text().endswith("\n"))
    grandchild = int(child.output.read_text())
    child.end(0)
    assert holds_within(lambda: not is_running(grandchild))


def test_end_leaves_no_child_of_ours(start: Start) -> None:
    """Child and guard are reaped: no zombie stays behind."""
    before = {child.pid for child in psutil.Process().children()}
    start("sleep", "60").end(0)
    assert before == {child.pid for child in psutil.Process().children()}


def test_a_forked_child_ends_nothing(start: Start) -> None:
    """A process belongs to whoever started it: a fork's copy of the object has no power over it."""
    child = start("sleep", "60")
    code = os.fork()
    if code == 0:
        child.end(0)
        os._exit(0)
    os.waitpid(code, 0)
    assert child.poll() is None


OWNER = """
import os, signal, sys, threading, time
from pathlib import Path
from ci_tools.host import process

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup
here, manner = Path(sys.argv[1]), sys.argv[2]
data = here / "data"
data.mkdir()
(data / "file").write_text("x")
child = process.start(
    ["sh", "-c", "trap '' TERM HUP INT; sleep 63 & echo $!; wait; wait"],
    env=dict(os.environ), cwd=here, output=here / "output.txt", cleanup=(data,),
)
while not (here / "output.txt").read_text().endswith("\\n"):
    time.sleep(0.01)
grandchild = int((here / "output.txt").read_text())
forked = os.fork()
if forked == 0:
    time.sleep(20)
    os._exit(0)
(here / "pids.tmp").write_text(f"{child.pid} {grandchild} {child.guard_pid} {forked}")
(here / "pids.tmp").rename(here / "pids")
if manner == "exit":
    os._exit(3)
if manner == "thread":
    threading.Thread(target=lambda: os._exit(3)).start()
time.sleep(60)
"""


@pytest.mark.parametrize("manner", ["exit", "thread", "SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_the_guard_ends_everything_when_the_owner_is_gone(tmp_path: Path, manner: str) -> None:
    """However the owner goes, child, grandchild, guard and folder are gone within 3 s, though a fork of it lives on."""
    with (tmp_path / "owner.txt").open("wb") as sink:
        owner = subprocess.Popen(
            [sys.executable, "-c", OWNER, str(tmp_path), manner], stdout=sink, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        assert holds_within((tmp_path / "pids").exists, 10), (tmp_path / "owner.txt").read_text()
        child, grandchild, guard, forked = map(int, (tmp_path / "pids").read_text().split())
        if manner.startswith("SIG"):
            owner.send_signal(signal.Signals[manner])
        owner.wait(5)
        assert holds_within(lambda: not any(map(is_running, (child, grandchild, guard))))
        assert holds_within(lambda: not (tmp_path / "data").exists(), 1)
        assert is_running(forked)
    finally:
        os.killpg(owner.pid, signal.SIGKILL)
        owner.wait(5)


STRAYS = """
import os, psutil, sys, time, subprocess
from pathlib import Path
from ci_tools.host import process

here = Path(sys.argv[1])
assert process.become_subreaper()
kept = process.start(["sleep", "64"], env=dict(os.environ), cwd=here, output=here / "kept.txt")
allowed = subprocess.Popen(["sh", "-c", "sleep 65 & wait"], stdout=subprocess.DEVNULL, start_new_session=True)
daemon = "import os\\nif os.fork() == 0:\\n  os.setsid()\\n  if os.fork() == 0:\\n    os.execvp('sleep', ['sleep', '66'])\\n"
subprocess.run([sys.executable, "-c", daemon])
stubborn = subprocess.Popen(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 67; done"], stdout=subprocess.PIPE)
stubborn.stdout.readline()
daemon_is = {"cmdline": ["sleep", "66"], "ppid": os.getpid()}
while not any(one.info == daemon_is for one in psutil.process_iter(["cmdline", "ppid"])):
    time.sleep(0.01)
ended = process.end_descendants(0.3, allow={allowed.pid})
print(sorted({one.command for one in ended if "sleep 6" in one.command and "ready" not in one.command}))
print(kept.poll(), allowed.poll(), process.end_descendants(0.1, allow={allowed.pid}))
os.killpg(allowed.pid, 9)
kept.end(0)
"""


_UNTOLD = """
import os, signal, sys
from pathlib import Path
from ci_tools.host import guard_posix, process

def die(*_):
    while not Path("running").exists():
        pass
    os.kill(os.getpid(), signal.SIGKILL)

guard_posix.os.write = die  # the first thing written is the child's pid
home = Path("home").resolve()
home.mkdir()
process.start(["sh", "-c", "echo $$ >pid; mv pid running; sleep 600"], env=dict(os.environ), cwd=Path.cwd(),
              output=Path("output"), cleanup=(home,))
"""


def test_the_guard_ends_a_child_whose_pid_it_was_never_told(tmp_path: Path) -> None:
    """An owner that is killed between the start of its child and telling the guard leaves neither child nor folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = _UNTOLD if sys.platform == "linux" else _UNTOLD.replace('while not Path("running").exists()', "while False")
    owner = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, timeout=30, check=False)
    assert owner.returncode == -signal.SIGKILL
    assert holds_within(lambda: not (tmp_path / "home").exists())
    running = tmp_path / "running"
    assert running.exists() == (sys.platform == "linux")  # elsewhere the child waits at its gate, and never runs
    assert not running.exists() or not is_running(int(running.read_text()))


@LINUX_ONLY
def test_end_descendants_finds_daemons_and_spares_the_allowed(tmp_path: Path) -> None:
    """A double-forked daemon and a process deaf to TERM end; guarded and allowed processes and their children do not."""
    ran = subprocess.run([sys.executable, "-c", STRAYS, str(tmp_path)], capture_output=True, text=True, timeout=20, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("['sleep 66', 'sleep 67']\nNone None ()\n", "", 0)


WATCHER = """
import os, sys, time
from pathlib import Path
from ci_tools.host import process
here = Path(sys.argv[1])
started = time.monotonic()
process.watch_parent(lambda: ((here / "noticed").write_text("x"), os._exit(0)), parent_pid=int(sys.argv[2]) or None)
(here / "watching").write_text(str(os.getpid()))
time.sleep(20)
"""


def test_watch_parent_notices_within_half_a_second(tmp_path: Path) -> None:
    """A worker learns within 0.5 s that its parent was killed."""
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    parent = subprocess.Popen([sys.executable, "-c", code, WATCHER, str(tmp_path), "0"])
    assert holds_within(lambda: (tmp_path / "watching").exists() and bool((tmp_path / "watching").read_text()), 10)
    parent.kill()
    parent.wait(5)
    assert holds_within((tmp_path / "noticed").exists, 0.5)


def test_watch_parent_notices_a_parent_that_is_gone_already(tmp_path: Path) -> None:
    """A parent that died before the watch began is noticed too."""
    gone = subprocess.Popen(["true"])
    gone.wait(5)
    worker = subprocess.Popen([sys.executable, "-c", WATCHER, str(tmp_path), str(gone.pid)])
    assert worker.wait(10) == 0


def test_a_pytest_worker_runs_as_usual_under_a_guard(start: Start, tmp_path: Path) -> None:
    """Pytest under a guard captures, reports and exits as it does anywhere."""
    (tmp_path / "test_one.py").write_text("def test_a():\n    print('hello')\n\ndef test_b():\n    assert 1 == 2\n")
    child = start(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkey", "test_one.py")
    assert child.wait(30) == 1
    assert "1 failed, 1 passed" in (tmp_path / "output.txt").read_text()
