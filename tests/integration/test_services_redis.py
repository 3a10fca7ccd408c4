"""Our own Redis, real throughout: started, proved, killed, refused, and what is said when it cannot be had."""

import os
import shutil
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
from redis.backoff import NoBackoff
from redis.retry import Retry

from ci_tools.errors import ConfigError, ExitCode, ServiceError
from ci_tools.host import ports
from ci_tools.model.service import Isolation, Provider, ServiceKind, ServiceSpec
from ci_tools.services import leftovers
from ci_tools.services.discovery import discover_redis
from ci_tools.services.provision import provide
from ci_tools.services.redis import RedisServer, start_redis

NOTHING_SET = {"PATH": ""}
REDIS = ServiceSpec(kind=ServiceKind.REDIS)
ON_DISK = ServiceSpec(kind=ServiceKind.REDIS, options={"maxmemory": "32mb"})
"""With options of its own a server may write more than the memory file system should hold."""


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test: no child process, no home, no trace is left that was not there before."""
    homes = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(homes))
    monkeypatch.setattr(leftovers, "traces_folder", lambda: tmp_path / "traces")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    left = sorted(path.name for folder in (homes, tmp_path / "traces") if folder.exists() for path in folder.iterdir())
    shutil.rmtree(homes)
    assert (before, []) == (after, left)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of the test's own."""
    with start_redis(REDIS, environ=NOTHING_SET, folder=tmp_path) as started:
        yield started


def client_of(server: RedisServer) -> "redis.Redis":
    """A client that does not retry."""
    return redis.Redis.from_url(server.url, decode_responses=True, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def program(folder: Path, name: str, script: str) -> None:
    """An executable shell script on a PATH of its own."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_it_keeps_nothing_and_has_1024_databases(server: RedisServer) -> None:
    """No snapshots, no append-only file, 1024 databases: a server for tests."""
    with client_of(server) as client:
        settings = client.config_get("save", "appendonly", "databases")
    assert settings == {"save": "", "appendonly": "no", "databases": "1024"}


def test_it_listens_on_loopback_only_and_wants_its_password(server: RedisServer) -> None:
    """Bound to 127.0.0.1; who does not know the password is told nothing."""
    process = psutil.Process(server.endpoint.provenance.pid)
    assert {"127.0.0.1"} == {one.laddr.ip for one in process.net_connections("inet")}
    with (
        redis.Redis(port=server.endpoint.port, password="wrong", retry=Retry(NoBackoff(), 0)) as client,  # noqa: S106 - wrong on purpose
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_the_password_is_in_no_list_of_processes_and_no_repr(server: RedisServer) -> None:
    """Neither the command line, nor the environment, nor the endpoint's repr and masked URL hold the password."""
    process = psutil.Process(server.endpoint.provenance.pid)
    shown = f"{process.cmdline()} {process.environ()} {server.endpoint!r} {server.endpoint.masked_url}"
    assert server.endpoint.password
    assert server.endpoint.password not in shown


def test_its_unix_socket_answers_too(server: RedisServer) -> None:
    """The endpoint's socket path leads to the same server."""
    with redis.Redis(unix_socket_path=server.endpoint.socket_path, password=server.endpoint.password) as client:
        assert server.endpoint.provenance.pid == client.info("server")["process_id"]


def test_killed_it_refuses_and_restarted_it_is_empty_on_the_same_url(server: RedisServer) -> None:
    """Kill is a crash: connections break and are refused; restart gives an empty server at the same URL."""
    url = server.url
    with client_of(server) as client:
        client.set("key", "value")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.restart()
        assert (url, None) == (server.url, client.get("key"))


def test_a_killed_servers_port_stays_ours(server: RedisServer) -> None:
    """Nobody else gets the port between kill and restart."""
    server.kill()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((ports.LOOPBACK, server.endpoint.port))


def test_restart_needs_no_kill(server: RedisServer) -> None:
    """A running server is restarted in place: another process, the same port."""
    first = server.endpoint.provenance
    second = server.restart().provenance
    assert first.port == second.port
    assert first.pid != second.pid


def test_stop_twice_is_the_same_as_once(server: RedisServer) -> None:
    """The second stop finds nothing to do."""
    server.stop()
    server.stop()
    assert not psutil.pid_exists(server.endpoint.provenance.pid)


def test_options_of_the_spec_reach_the_server(tmp_path: Path) -> None:
    """An option is a line of redis.conf."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, options={"maxmemory": "32mb", "notify-keyspace-events": "KEA"})
    with start_redis(spec, environ=NOTHING_SET, folder=tmp_path) as server, client_of(server) as client:
        assert client.config_get("maxmemory")["maxmemory"] == "33554432"


@pytest.mark.parametrize("options", [{"port": "1"}, {"RequirePass": "x"}, {"save": "60 1\nport 1"}])
def test_options_that_are_ours_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    """What identity rests on cannot be overridden, nor smuggled in by a line break: exit code 2."""
    with pytest.raises(ConfigError) as caught:
        start_redis(ServiceSpec(kind=ServiceKind.REDIS, options=options), environ=NOTHING_SET, folder=tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_wrong_option_is_said_with_the_servers_own_words(tmp_path: Path) -> None:
    """A server that ends at once gives its exit code and the end of its log."""
    with pytest.raises(ServiceError) as caught:
        start_redis(ServiceSpec(kind=ServiceKind.REDIS, options={"no-such-option": "1"}), environ=NOTHING_SET, folder=tmp_path)
    said = str(caught.value)
    assert caught.value.exit_code == ExitCode.SERVICE
    assert "exit code 1" in said
    assert "no-such-option" in said
    assert "tried:" in said


def test_a_server_that_dies_is_not_waited_for(tmp_path: Path) -> None:
    """Exit code and log of a program that ends at once are in the error; the whole timeout is not spent."""
    program(tmp_path / "bin", "redis-server", "echo 'cannot: the moon is full'; exit 3")
    spec = ServiceSpec(kind=ServiceKind.REDIS, start_timeout_s=3600)
    with pytest.raises(ServiceError, match="exit code 3") as caught:
        start_redis(spec, environ={"PATH": str(tmp_path / "bin")}, folder=tmp_path)
    assert "log:     cannot: the moon is full" in str(caught.value)


def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """A program that runs and never opens its socket is ended after the timeout, and the last errno is said."""
    program(tmp_path / "bin", "redis-server", "echo starting; exec /bin/sleep 60")
    spec = ServiceSpec(kind=ServiceKind.REDIS, start_timeout_s=0.3)
    with pytest.raises(ServiceError, match=r"within 0\.3 s \(last: errno 2") as caught:
        start_redis(spec, environ={"PATH": str(tmp_path / "bin")}, folder=tmp_path)
    assert "log:     starting" in str(caught.value)


def test_without_a_folder_the_log_ends_with_the_server(tmp_path: Path) -> None:
    """Nobody keeps the log: it lies in the home, and its end is in the error all the same."""
    program(tmp_path / "bin", "redis-server", "echo 'cannot: the moon is full'; exit 3")
    with pytest.raises(ServiceError, match="exit code 3") as caught:
        start_redis(REDIS, environ={"PATH": str(tmp_path / "bin")}, folder=None)
    assert "log:     cannot: the moon is full" in str(caught.value)


def test_a_version_that_does_not_fit_is_passed_over_by_name(tmp_path: Path) -> None:
    """Every candidate that was passed over is named with its version and the wanted range."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, version=">=99")
    with pytest.raises(ServiceError, match="no Redis to start") as caught:
        start_redis(spec, environ=NOTHING_SET, folder=tmp_path)
    assert "wanted >=99" in str(caught.value)


def test_a_path_that_is_no_program_is_said(tmp_path: Path) -> None:
    """A configured path that does not exist is an error of its own, not a reason to look elsewhere."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, path=str(tmp_path / "missing"))
    with pytest.raises(ServiceError, match="missing is no program"):
        start_redis(spec, environ=NOTHING_SET, folder=tmp_path)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no home can be made the error says so with the errno."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(ServiceError, match="redis could not be started: errno"):
        start_redis(ON_DISK, environ=NOTHING_SET, folder=tmp_path)


FULL_DISK = """
import sys, tempfile
from pathlib import Path
from ci_tools.errors import ServiceError
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.redis import start_redis
small = Path(sys.argv[1])
(small / "filler").write_bytes(b"x" * 4 * 4096)
tempfile.tempdir = str(small)
try:
    spec = ServiceSpec(kind=ServiceKind.REDIS, options={"maxmemory": "32mb"})
    start_redis(spec, environ={"PATH": ""}, folder=Path(sys.argv[2]))
except ServiceError as error:
    print(error.what, [path.name for path in small.iterdir()])
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a small disk is mounted by root on Linux")
def test_a_full_disk_is_said_and_nothing_is_left_on_it(tmp_path: Path) -> None:
    """No room for the server's folder: errno 28 in words, and the half-made folder is gone."""
    small = Path(tempfile.mkdtemp())  # short: a long path would be passed over for /tmp, because of the unix socket
    script = f'mount -t tmpfs -o size=16k tmpfs "{small}" && exec "$@"'
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", FULL_DISK, str(small), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    small.rmdir()
    assert ran.stdout == "redis could not be started: errno 28 on linux: No space left on device ['filler']\n", ran.stderr


def test_a_stranger_on_the_preferred_port_is_left_alone(server: RedisServer, tmp_path: Path) -> None:
    """A Redis that is not ours on the preferred port: ours runs elsewhere, the stranger sees no connection and keeps its keys."""
    with client_of(server) as client:
        client.set("precious", "1")
        seen = client.info("stats")["total_connections_received"]
        spec = ServiceSpec(kind=ServiceKind.REDIS, port=server.endpoint.port)
        with provide([spec], environ=NOTHING_SET, folder=tmp_path) as provision:
            (slot,) = provision.slots
            assert slot.endpoints[0].port != server.endpoint.port
            with redis.Redis.from_url(slot.environment["REDIS_URL"]) as ours:
                ours.flushall()
        assert ("1", seen) == (client.get("precious"), client.info("stats")["total_connections_received"])


def test_the_preferred_port_is_taken_when_it_is_free(tmp_path: Path) -> None:
    """The first slot answers on the preferred port, also right after another server of ours left it."""
    with ports.reserve(ports.ANY_PORT) as free:  # type: ignore[union-attr]  # None would fail the test
        port = free.port
    found = []
    for _ in range(2):
        with provide(
            [ServiceSpec(kind=ServiceKind.REDIS, port=port)], environ=NOTHING_SET, folder=tmp_path, slots=2
        ) as provision:
            found.append(provision.slots[0].endpoints[0].port)
            with redis.Redis.from_url(provision.slots[0].environment["REDIS_URL"]) as client:
                client.ping()
    assert [port, port] == found


def test_a_port_lost_between_look_and_bind_is_another_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that finds its port taken after all is started again on the next: what happens where none can be held."""
    with socket.create_server((ports.LOOPBACK, 0)) as stranger:
        taken = ports.Reservation(stranger.getsockname()[1], ())
        free = ports.reserve(ports.ANY_PORT)
        assert free is not None
        monkeypatch.setattr(ports, "reservations", lambda *_: iter([taken, free]))
        with start_redis(REDIS, environ=NOTHING_SET, folder=tmp_path) as server:
            assert free.port == server.endpoint.port


def test_no_port_left_is_said(tmp_path: Path) -> None:
    """Where the whole range is taken the error names the range."""
    with socket.create_server((ports.LOOPBACK, 0)) as stranger:
        port = stranger.getsockname()[1]
        spec = ServiceSpec(kind=ServiceKind.REDIS, port_range=(port, port))
        with pytest.raises(ServiceError, match=f"all of {port}-{port} are taken"):
            start_redis(spec, environ=NOTHING_SET, folder=tmp_path)


def test_each_slot_gets_what_its_isolation_says(tmp_path: Path) -> None:
    """A server each, a database each of one server, or one for all."""
    found = {}
    for isolation in Isolation:
        spec = ServiceSpec(kind=ServiceKind.REDIS, isolation=isolation)
        with provide([spec], environ=NOTHING_SET, folder=tmp_path, slots=3) as provision:
            endpoints = [slot.endpoints[0] for slot in provision.slots]
            found[isolation] = (
                len({one.port for one in endpoints}),
                [one.database for one in endpoints],
                len(provision.provenances),
            )
    assert found == {
        Isolation.SERVER: (3, ["0", "0", "0"], 3),
        Isolation.DATABASE: (1, ["0", "1", "2"], 1),
        Isolation.SHARED: (1, ["0", "0", "0"], 1),
    }


def test_when_one_of_several_cannot_start_the_others_end(tmp_path: Path) -> None:
    """A second service that cannot be had leaves nothing of the first."""
    other = ServiceSpec(kind=ServiceKind.REDIS, version=">=99")
    with pytest.raises(ServiceError, match="no Redis to start"):
        provide([REDIS, other], environ=NOTHING_SET, folder=tmp_path, slots=2)


def test_in_ci_the_error_says_that_nothing_is_skipped(tmp_path: Path) -> None:
    """A missing service in CI is an error that says why it is not a skip."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, version=">=99")
    with pytest.raises(ServiceError, match="never a skip"):
        provide([spec], environ=NOTHING_SET, folder=tmp_path, is_ci=True)


def test_a_start_is_ended_from_another_thread(tmp_path: Path) -> None:
    """Stop ends a start that is still waiting: nobody waits for the timeout of a server that is not wanted any more."""
    program(tmp_path / "bin", "redis-server", "echo up; exec /bin/sleep 60")
    spec = ServiceSpec(kind=ServiceKind.REDIS, path=str(tmp_path / "bin" / "redis-server"), start_timeout_s=3600)
    from_here: list[BaseException] = []

    def start() -> None:
        try:
            one.start()
        except ServiceError as error:
            from_here.append(error)

    one = RedisServer(spec, discover_redis(spec, environ=NOTHING_SET, tried=[]), log=tmp_path / "log")
    thread = threading.Thread(target=start)
    thread.start()
    pause = threading.Event()
    while not (tmp_path / "log").exists() or "up" not in (tmp_path / "log").read_text():
        pause.wait(0.01)
    one.stop()
    thread.join(5)
    assert (thread.is_alive(), len(from_here)) == (False, 1)


def test_the_provenance_says_where_it_came_from(server: RedisServer) -> None:
    """Provider, version, path, digest, port, pid and time of start are known, and so is what was passed over."""
    provenance = server.endpoint.provenance
    assert provenance.provider == Provider.EMBEDDED
    assert provenance.version.startswith("9.")
    assert Path(provenance.path).name == "valkey-server"
    assert len(provenance.sha256) == 64
    assert provenance.pid == psutil.Process(provenance.pid).pid
    assert provenance.start_ms > 0
    assert "no valkey-server or redis-server" in provenance.reason
