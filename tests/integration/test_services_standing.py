"""Standing services, with the real keeper process and a real Redis."""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from ci_tools.errors import ServiceError
from ci_tools.model import codec
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import home, keeper, leftovers, standing
from ci_tools.services.provision import provide
from ci_tools.services.redis import RedisServer, start_redis

REDIS = ServiceSpec(kind=ServiceKind.REDIS, port=None, port_range=())
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("CI_TOOLS_")}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A project's folder; whatever still stands in it after the test is ended."""
    yield tmp_path / "standing"
    standing.down(tmp_path / "standing")


def is_running(pid: int) -> bool:
    """Whether a process does anything still."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_up_twice_is_the_same_server(folder: Path) -> None:
    """The second up finds what the first one started."""
    (first,) = standing.up([REDIS], environ=ENVIRON, folder=folder)
    (second,) = standing.up([REDIS], environ=ENVIRON, folder=folder)
    assert (first.is_new, second.is_new) == (True, False)
    assert (first.endpoint, first.keeper_pid, True) == (second.endpoint, second.keeper_pid, second.is_ready)


def test_it_answers_and_outlives_the_call_that_started_it(folder: Path) -> None:
    """A server started by a process that has ended answers at the URL it left."""
    code = (
        "import os, sys; from pathlib import Path; from ci_tools.model.service import *; from ci_tools.services import standing;"
        "print(standing.up([ServiceSpec(kind=ServiceKind.REDIS)], environ=os.environ, folder=Path(sys.argv[1]))[0].endpoint.url)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True, timeout=60, env=ENVIRON
    )
    with redis.Redis.from_url(ran.stdout.strip()) as client:
        assert client.ping()


def test_down_ends_server_and_keeper_and_says_what(folder: Path) -> None:
    """After down nothing runs and nothing stands; a second down finds nothing."""
    (one,) = standing.up([REDIS], environ=ENVIRON, folder=folder)
    assert [one.endpoint] == [ended.endpoint for ended in standing.down(folder)]
    assert (is_running(one.keeper_pid), is_running(one.endpoint.provenance.pid)) == (False, False)
    assert (standing.status(folder), standing.down(folder)) == ((), ())


def test_down_leaves_an_adopted_server_alone(folder: Path, tmp_path: Path) -> None:
    """Somebody else's server is given back, not ended."""
    with start_redis(REDIS, environ=ENVIRON, folder=tmp_path) as foreign:
        (one,) = standing.up([REDIS], environ={**ENVIRON, "CI_TOOLS_REDIS_URL": foreign.url}, folder=folder)
        assert one.endpoint.provenance.provider == Provider.ADOPTED
        standing.down(folder)
        with redis.Redis.from_url(foreign.url) as client:
            assert client.dbsize() == 0


def test_a_killed_keeper_takes_its_server_along_and_up_starts_anew(folder: Path) -> None:
    """SIGKILL to the keeper: the guard ends the server, status finds nothing, up starts another one."""
    (one,) = standing.up([REDIS], environ=ENVIRON, folder=folder)
    server = psutil.Process(one.endpoint.provenance.pid)
    psutil.Process(one.keeper_pid).kill()
    assert psutil.wait_procs([server], timeout=3)[1] == []
    assert standing.status(folder) == ()
    (again,) = standing.up([REDIS], environ=ENVIRON, folder=folder)
    assert (again.is_new, again.is_ready) == (True, True)


def test_a_service_that_cannot_be_had_is_the_same_error_as_in_a_run(folder: Path) -> None:
    """The keeper's error reaches the caller of up, hint and all."""
    with pytest.raises(ServiceError, match="no Redis to start") as caught:
        standing.up([ServiceSpec(kind=ServiceKind.REDIS, version=">=99")], environ=ENVIRON, folder=folder)
    assert caught.value.hint is not None
    assert standing.status(folder) == ()


def test_the_log_is_there_and_one_that_never_was_is_said(folder: Path) -> None:
    """Logs gives the server's own last lines."""
    with pytest.raises(ServiceError, match="has no log"):
        standing.logs(folder, ServiceKind.REDIS)
    standing.up([REDIS], environ=ENVIRON, folder=folder)
    assert any("Ready to accept connections" in line for line in standing.logs(folder, ServiceKind.REDIS))


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        (standing.Shell.SH, "export REDIS_URL='{url}'"),
        (standing.Shell.FISH, "set -gx REDIS_URL '{url}'"),
        (standing.Shell.POWERSHELL, "$env:REDIS_URL = '{url}'"),
        (standing.Shell.GITHUB, "REDIS_URL={url}"),
    ],
)
def test_environment_lines_name_what_tests_read_and_what_a_run_adopts(folder: Path, shell: standing.Shell, line: str) -> None:
    """Each shell's own syntax; a run in that environment adopts the standing server."""
    stands = standing.up([REDIS], environ=ENVIRON, folder=folder)
    first, second = standing.env_lines(stands, shell)
    assert line.format(url=stands[0].endpoint.url) == first
    assert first.replace("REDIS_URL", "CI_TOOLS_REDIS_URL") == second


def test_a_shell_reads_back_what_was_printed(folder: Path) -> None:
    """A POSIX shell that evaluates the lines has the very URL."""
    stands = standing.up([REDIS], environ=ENVIRON, folder=folder)
    script = "\n".join([*standing.env_lines(stands, standing.Shell.SH), 'printf %s "$REDIS_URL"'])
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=10)
    assert stands[0].endpoint.url == ran.stdout


def test_in_the_foreground_the_log_is_said_line_by_line(tmp_path: Path) -> None:
    """Keep gives the log while the server runs and ends it when asked to."""
    stopped = threading.Event()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if "Ready to accept connections" in line:
            stopped.set()

    keeper.keep(REDIS, environ=ENVIRON, folder=tmp_path, stopped=stopped, say=say)
    assert any("Ready to accept connections" in line for line in lines)
    assert standing.status(tmp_path) == ()


def test_a_kept_server_that_ends_by_itself_is_an_error(tmp_path: Path) -> None:
    """A server that crashes under its keeper is said, not silently missing."""

    def say(line: str) -> None:
        if "Ready to accept connections" in line:
            endpoint = standing.status(tmp_path)[0].endpoint
            psutil.Process(endpoint.provenance.pid).kill()

    with pytest.raises(ServiceError, match="ended by itself"):
        keeper.keep(REDIS, environ=ENVIRON, folder=tmp_path, stopped=threading.Event(), say=say)


LEFT_BEHIND = """
import os, sys, signal
from pathlib import Path
from ci_tools.services import leftovers
from ci_tools.services.redis import start_redis
from ci_tools.model.service import ServiceKind, ServiceSpec
leftovers.traces_folder = lambda: Path(sys.argv[1])
server = start_redis(ServiceSpec(kind=ServiceKind.REDIS), environ={"PATH": ""}, folder=Path(sys.argv[1]).parent)
os.kill(server._process.guard_pid, signal.SIGKILL)
print(server.endpoint.provenance.pid, flush=True)
os._exit(1)
"""


def test_reap_ends_what_no_guard_could(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose owner and guard were both killed is ended by pid and create time, and its folder removed."""
    traces = tmp_path / "traces"
    monkeypatch.setattr(leftovers, "traces_folder", lambda: traces)
    ran = subprocess.run(
        [sys.executable, "-c", LEFT_BEHIND, str(traces)], capture_output=True, text=True, timeout=30, check=False
    )
    pid = int(ran.stdout)
    assert is_running(pid)
    (reaped,) = leftovers.reap()
    assert (pid, True, False) == (reaped.pid, reaped.was_running, Path(reaped.home).exists())
    assert (is_running(pid), leftovers.reap()) == (False, ())


def test_reap_leaves_the_living_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose owner lives is not a leftover; nor is another process that has a dead server's pid now."""
    monkeypatch.setattr(leftovers, "traces_folder", lambda: tmp_path / "traces")
    with start_redis(REDIS, environ=ENVIRON, folder=tmp_path) as server:
        assert leftovers.reap() == ()
        pid = server.endpoint.provenance.pid
        reused = leftovers.Trace(
            name="redis", pid=pid, created=1.0, owner_pid=pid, owner_created=1.0, home=str(tmp_path / "none")
        )
        (tmp_path / "traces" / "old.json").write_text(codec.dumps(reused))
        (tmp_path / "traces" / "cut.json").write_text('{"name": "re')
        (reaped,) = leftovers.reap()
        assert (pid, False, True) == (reaped.pid, reaped.was_running, is_running(pid))


def test_a_trace_is_gone_with_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends in order leaves no trace."""
    monkeypatch.setattr(leftovers, "traces_folder", lambda: tmp_path / "traces")
    server: RedisServer = start_redis(REDIS, environ=ENVIRON, folder=tmp_path)
    assert len(list((tmp_path / "traces").iterdir())) == 1
    server.stop()
    assert list((tmp_path / "traces").iterdir()) == []


HOUR_S = 3600.0


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which alone homes are made, with a short path, and traces of its own."""
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as name:
        folder = Path(name)
        monkeypatch.setattr(leftovers, "traces_folder", lambda: tmp_path / "traces")
        monkeypatch.setattr(home, "_MEMORY", folder)
        monkeypatch.setattr(home, "_SHORT_AND_OPEN", folder)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield folder


def leave(folder: Path, name: str, *, age_s: float) -> Path:
    """A folder with a file in it that nobody has changed for so long."""
    path = folder / name
    path.mkdir()
    (path / "redis.conf").touch()
    age(path, age_s)
    return path


def age(path: Path, age_s: float) -> None:
    """Let a folder be as old as this."""
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))


@pytest.mark.skipif(sys.platform == "win32", reason="unix sockets are POSIX")
def test_reap_removes_homes_of_nobody_and_no_others(places: Path) -> None:
    """Old, named as ours, without a server: removed. Young, in use, answering, of another name, a link: left."""
    old = leave(places, "ci-tools-0123abcd", age_s=HOUR_S)
    young = leave(places, "ci-tools-1123abcd", age_s=1)
    used = leave(places, "ci-tools-2123abcd", age_s=HOUR_S)
    other = leave(places, "ci-tools-mine", age_s=HOUR_S)
    answering = leave(places, "ci-tools-3123abcd", age_s=HOUR_S)
    (places / "ci-tools-4123abcd").symlink_to(other)
    with (
        subprocess.Popen(["sleep", "60"], cwd=used) as worker,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server,
    ):
        server.bind(str(answering / "redis.sock"))
        server.listen()
        age(answering, HOUR_S)
        reaped = leftovers.reap()
        left = sorted(places.iterdir())
        worker.kill()
    assert [(one.name, one.home, one.was_running) for one in reaped] == [("", str(old), False)]
    assert left == sorted([young, used, other, answering, places / "ci-tools-4123abcd"])
    assert sorted(one.home for one in leftovers.reap()) == [str(used), str(answering)]


def test_a_server_that_runs_keeps_its_home_however_old_it_is(places: Path) -> None:
    """A week of standing is no reason: its process stands there, and its trace names it."""
    with start_redis(REDIS, environ=ENVIRON, folder=None) as server:
        homes = list(places.glob("ci-tools-*"))
        age(homes[0], 7 * 24 * HOUR_S)
        for trace in leftovers.traces_folder().iterdir():
            trace.unlink()
        assert leftovers.reap() == ()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
    assert (len(homes), list(places.iterdir())) == (1, [])


def test_a_run_that_ends_clears_away_old_homes(places: Path) -> None:
    """Nobody has to know of reap: those that nobody touched for an hour go with the next run."""
    leave(places, "ci-tools-0123abcd", age_s=2 * HOUR_S)
    recent = leave(places, "ci-tools-1123abcd", age_s=HOUR_S / 2)
    with provide([REDIS], environ=ENVIRON, folder=None):
        pass
    assert list(places.iterdir()) == [recent]


@pytest.mark.skipif(sys.platform == "win32", reason="unix sockets are POSIX")
def test_a_server_that_answers_is_no_leftover_though_its_process_cannot_be_seen(places: Path) -> None:
    """In another namespace of processes, with our folders mounted: its trace and its home stay."""
    with start_redis(REDIS, environ=ENVIRON, folder=None) as server:
        (path,) = leftovers.traces_folder().iterdir()
        known = codec.loads(leftovers.Trace, path.read_bytes())
        unseen = leftovers.Trace(
            name="redis", pid=known.pid, created=1.0, owner_pid=known.owner_pid, owner_created=1.0, home=known.home
        )
        path.write_text(codec.dumps(unseen))
        assert (leftovers.reap(), path.exists()) == ((), True)
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
