"""The kill matrix: whoever dies, in whatever way, 3 s later no server, no folder and no trace is left."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX; on Windows the job object is tested")

BUSY = min(3.0, max(1.0, psutil.getloadavg()[0] / (os.cpu_count() or 1)))
"""How many programs wait for each processor: what takes its time on a machine that is ours takes that many times as long."""

LIMIT_S = 3.0 * BUSY
"""Three seconds on a machine that is ours, never more than nine: pytest-xdist, nox and pytest have their say in it."""
HOME = re.compile(r"ci-tools-[0-9a-f]{8}")
START_TIMEOUT_S = 60.0
VICTIMS = ("pytest", "worker", "controller", "ci-tools", "nox")
MANNERS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGKILL", "exit")
SAMPLE = {("pytest", "SIGTERM"), ("worker", "SIGKILL"), ("ci-tools", "SIGKILL")}

SUITE = """
import os, threading
from pathlib import Path

HERE = Path(os.environ["MATRIX"])

def write(name, text):
    (HERE / ("." + name)).write_text(text)
    (HERE / ("." + name)).rename(HERE / name)

def test_held(redis_endpoint, postgres_endpoint):
    servers = [one.provenance.pid for one in (redis_endpoint, postgres_endpoint)]
    write(f"held-{Path(__file__).stem}", " ".join(map(str, [os.getpid(), *servers])))
    for _ in range(6000):
        if (HERE / "exit-worker").exists():
            os._exit(3)
        if (HERE / "finish").exists():
            return
        threading.Event().wait(0.01)
"""

PYPROJECT = """
[tool.ci-tools]
tests = ["test_one.py", "test_two.py"]
workers = 2
[tool.ci-tools.guards]
timeout = 50
leaks = { environment = "off", process = "off", thread = "off" }
[tool.ci-tools.services.redis]
[tool.ci-tools.services.postgres]
"""

NOXFILE = """
import nox
from ci_tools import nox_sessions

@nox.session(venv_backend="none")
def integration(session):
    nox_sessions.run_toolkit(session, "run")
"""

MAIN = """
import os, runpy, sys, threading
from pathlib import Path

def watch(path):
    while not path.exists():
        threading.Event().wait(0.01)
    os._exit(3)

threading.Thread(target=watch, args=(Path(os.environ["MATRIX"]) / "exit-main",), daemon=True).start()
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""

COMMANDS = {
    "pytest": ["pytest", "-q", "-p", "no:cacheprovider"],
    "worker": ["pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--max-worker-restart", "0"],
    "controller": ["pytest", "-q", "-p", "no:cacheprovider", "-n", "2"],
    "ci-tools": ["ci_tools", "run"],
    "nox": ["nox", "-s", "integration"],
}


def holds_within(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether the condition comes true before the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.02)
    return True


def is_running(pid: int) -> bool:
    """Whether a process does anything still."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A project, a folder for its temporary files, and one for its state: nothing of it lies elsewhere."""

    project: Path
    temporary: Path
    environ: dict[str, str]

    def start(self, victim: str) -> "subprocess.Popen[bytes]":
        """Run the suite as the victim would, in a session of its own, as a terminal's or a runner's child is."""
        with (self.project / "output.txt").open("ab") as sink:
            return subprocess.Popen(
                [sys.executable, "-c", MAIN, *COMMANDS[victim]],
                cwd=self.project,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def held(self) -> list[list[int]]:
        """Of each test that runs: its worker's pid and its servers'."""
        return [[int(pid) for pid in path.read_text().split()] for path in sorted(self.project.glob("held-*"))]

    def left(self, homes: set[Path]) -> list[str]:
        """What is there of these homes, of others in our folder for temporary files, and of traces."""
        places = (self.temporary, self.project / "state" / "ci-tools" / "servers")
        own = {path for place in places if place.exists() for path in place.iterdir()}
        found = {path for path in own if HOME.fullmatch(path.name) or path.suffix == ".json"}
        return sorted(str(path) for path in found | {home for home in homes if home.exists()})


def home_of(pid: int) -> Path:
    """A server's home: where it runs, or the folder above its data."""
    folder = Path(psutil.Process(pid).cwd())
    return next(place for place in (folder, *folder.parents) if HOME.fullmatch(place.name))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A project whose tests hold both services until they are told to finish."""
    temporary = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    temporary.chmod(0o711)
    for name, text in {"test_one.py": SUITE, "test_two.py": SUITE, "pyproject.toml": PYPROJECT, "noxfile.py": NOXFILE}.items():
        (tmp_path / name).write_text(text)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CI_TOOLS_", "PYTEST_", "GITHUB_", "COV_")) and name not in ("CI", "REDIS_URL", "DATABASE_URL")
    }
    environ = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "MATRIX": str(tmp_path),
    }
    yield Scene(project=tmp_path, temporary=temporary, environ=environ)
    shutil.rmtree(temporary)


def end_all(main: "subprocess.Popen[bytes]", family: list[psutil.Process]) -> None:
    """End whatever of the scene runs still, but no guard: guards clean up."""
    for process in family:
        with contextlib.suppress(psutil.Error):
            if "ci-tools-guard" not in process.cmdline():
                process.kill()
    main.kill()
    main.wait(5)


MATRIX = [
    pytest.param(victim, manner, marks=[] if (victim, manner) in SAMPLE else [pytest.mark.slow], id=f"{victim}-{manner}")
    for victim in VICTIMS
    for manner in MANNERS
]
"""All of it; what is not in the sample runs in the slow session."""


@pytest.mark.parametrize(("victim", "manner"), MATRIX)
def test_whoever_dies_leaves_nothing_after_three_seconds(scene: Scene, victim: str, manner: str) -> None:
    """No server, no folder, no trace; and the next run starts clean and passes."""
    wanted = 1 if victim == "pytest" else 2
    main = scene.start(victim)
    family: list[psutil.Process] = []
    try:
        assert holds_within(lambda: len(scene.held()) == wanted or main.poll() is not None, START_TIMEOUT_S)
        held = scene.held()
        assert wanted == len(held), (scene.project / "output.txt").read_text()
        family = psutil.Process(main.pid).children(recursive=True)
        dead, *servers = held[0]
        doomed = servers if victim == "worker" else [pid for _, *pids in held for pid in pids]
        homes = {home_of(pid) for pid in doomed}
        assert homes

        if manner == "exit":
            (scene.project / ("exit-worker" if victim == "worker" else "exit-main")).touch()
        else:
            os.kill(dead if victim == "worker" else main.pid, signal.Signals[manner])
        began = time.monotonic()
        gone = holds_within(lambda: not any(map(is_running, doomed)), LIMIT_S)
        assert gone, [psutil.Process(pid).cmdline() for pid in doomed if is_running(pid)]
        if victim == "worker":  # the others finish their tests, unless this was a way to end them all
            (scene.project / "finish").touch()
            main.wait(30)
            began = time.monotonic()
        assert holds_within(lambda: scene.left(homes) == [], began + LIMIT_S - time.monotonic()), scene.left(homes)
    finally:
        end_all(main, family)

    for path in (*scene.project.glob("held-*"), *scene.project.glob("exit-*")):
        path.unlink()
    (scene.project / "finish").touch()
    again = scene.start(victim)
    assert again.wait(START_TIMEOUT_S) == 0, (scene.project / "output.txt").read_text()[-3000:]
    assert scene.left(homes) == []
