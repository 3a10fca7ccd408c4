"""Adopted Redis: leases on a real server that is not ours, and every way in which it cannot be adopted."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from tls_door import Door, tls_door

from ci_tools.errors import ExitCode, ServiceError
from ci_tools.model.service import Isolation, Provider, ServiceKind, ServiceSpec
from ci_tools.services import adopted_redis as adopted
from ci_tools.services import cleaning, leases
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import Provision, provide
from ci_tools.services.redis import RedisServer, start_redis

REDIS = ServiceSpec(kind=ServiceKind.REDIS)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Somebody else's server."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, options={"databases": "4"})
    with start_redis(spec, environ={"PATH": ""}, folder=tmp_path_factory.mktemp("foreign")) as server:
        yield server


@pytest.fixture
def foreign(started: RedisServer) -> RedisServer:
    """Somebody else's server, empty."""
    with redis.Redis.from_url(started.url) as client:
        client.flushall()
    return started


def adopt(url: str, folder: Path, *, slots: int = 1, spec: ServiceSpec = REDIS) -> Provision:
    """What a run does when the variable is set."""
    return provide([spec], environ={"PATH": "", "CI_TOOLS_REDIS_URL": url}, folder=folder, slots=slots)


def base_of(server: RedisServer) -> str:
    """The server's URL without a database."""
    return server.url.rpartition("/")[0]


def database(server: RedisServer, index: int) -> "redis.Redis":
    """A client of one database of the foreign server."""
    return redis.Redis.from_url(f"{base_of(server)}/{index}", decode_responses=True)


def test_each_slot_leases_a_database_of_its_own(foreign: RedisServer, tmp_path: Path) -> None:
    """Two slots, two databases, never database 0, where the leases stand."""
    with adopt(base_of(foreign), tmp_path, slots=2) as provision, database(foreign, 0) as registry:
        assert [slot.endpoints[0].database for slot in provision.slots] == ["1", "2"]
        assert {f"ci-tools:{what}:{index}" for what in ("lease", "used") for index in (1, 2)} == set(registry.keys())
        assert (registry.ttl("ci-tools:used:1"), registry.ttl("ci-tools:lease:1") > 0) == (-1, True)
        assert 0 < registry.pttl("ci-tools:lease:1") <= leases.LEASE_S * 1000


def test_shared_slots_share_one_lease(foreign: RedisServer, tmp_path: Path) -> None:
    """With shared isolation all slots get the same database."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, isolation=Isolation.SHARED)
    with adopt(base_of(foreign), tmp_path, slots=3, spec=spec) as provision:
        assert [slot.endpoints[0].database for slot in provision.slots] == ["1", "1", "1"]


def test_two_runs_never_share_a_database(foreign: RedisServer, tmp_path: Path) -> None:
    """A second run at the same time gets another index."""
    with adopt(base_of(foreign), tmp_path) as first, adopt(base_of(foreign), tmp_path) as second:
        assert [one.slots[0].endpoints[0].database for one in (first, second)] == ["1", "2"]


def test_a_database_with_keys_is_not_touched(foreign: RedisServer, tmp_path: Path) -> None:
    """A database that holds something is passed over, and holds it afterwards."""
    with database(foreign, 1) as client:
        client.set("precious", "1")
        with adopt(base_of(foreign), tmp_path) as provision:
            assert provision.slots[0].endpoints[0].database == "2"
        assert client.get("precious") == "1"


def test_the_database_that_the_url_names_is_the_only_candidate(foreign: RedisServer, tmp_path: Path) -> None:
    """A URL that ends in /2 means database 2; when it holds something it is refused by name."""
    with adopt(f"{base_of(foreign)}/2", tmp_path) as provision:
        assert provision.slots[0].endpoints[0].database == "2"
    with database(foreign, 2) as client:
        client.set("precious", "1")
    with pytest.raises(ServiceError, match="free and empty") as caught:
        adopt(f"{base_of(foreign)}/2", tmp_path)
    assert "database 2: not empty (1 keys)" in str(caught.value)


def test_a_leased_database_is_given_back_empty(foreign: RedisServer, tmp_path: Path) -> None:
    """What the tests left in the leased database goes; what others have elsewhere stays."""
    with database(foreign, 3) as other, database(foreign, 1) as leased, database(foreign, 0) as registry:
        other.set("precious", "1")
        with adopt(base_of(foreign), tmp_path):
            leased.set("left", "1")
        assert (leased.keys(), other.get("precious"), registry.keys()) == ([], "1", [])


def test_the_heartbeat_renews_a_lease(foreign: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease of 0.6 s is still held after several times that."""
    monkeypatch.setattr(leases, "LEASE_S", 0.6)
    with adopt(base_of(foreign), tmp_path), database(foreign, 0) as registry:
        threading.Event().wait(1.5)
        assert registry.pttl("ci-tools:lease:1") > 0


def test_a_lost_lease_is_an_error_at_the_end(foreign: RedisServer, tmp_path: Path) -> None:
    """Somebody removed the lease: the run says that it may be mixed with another's, and flushes nothing."""
    provision = adopt(base_of(foreign), tmp_path)
    with database(foreign, 0) as registry, database(foreign, 1) as client:
        registry.delete("ci-tools:lease:1")
        client.set("anothers", "1")
        with pytest.raises(ServiceError, match="lost during the run"):
            provision.close()
        assert client.get("anothers") == "1"


LEASE_AND_DIE = """
import os, signal, sys
import redis
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services import cleaning, leases
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import provide
leases.LEASE_S = 3.0
provision = provide([ServiceSpec(kind=ServiceKind.REDIS)], environ=os.environ, folder=None)
client = redis.Redis.from_url(provision.slots[0].endpoints[0].url)
for number in range(2500):
    client.set(b"left-\\xff-%d" % number, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""
WAIT_S = 30


def leave_remains(server: RedisServer, url: str) -> None:
    """A run that leases, writes 2500 keys that are no text, and is killed; its lease is over a second ago."""
    argv = [sys.executable, "-c", LEASE_AND_DIE]
    environ = {**os.environ, "CI_TOOLS_REDIS_URL": url}
    ran = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    with database(server, 0) as registry:
        deadline, pause = time.monotonic() + WAIT_S, threading.Event()
        while registry.exists("ci-tools:lease:1") and time.monotonic() < deadline:
            pause.wait(0.05)
        pause.wait(1.5)


def test_what_a_killed_run_left_in_its_database_is_removed_by_the_next(foreign: RedisServer, tmp_path: Path) -> None:
    """SIGKILL in the middle: once the lease is over the mark without a time to live says whose the keys are."""
    leave_remains(foreign, f"{base_of(foreign)}/1")
    with database(foreign, 1) as client, database(foreign, 0) as registry:
        assert (client.dbsize(), registry.keys()) == (2500, ["ci-tools:used:1"])
        with adopt(f"{base_of(foreign)}/1", tmp_path) as provision:
            assert (provision.slots[0].endpoints[0].database, client.dbsize()) == ("1", 0)
        assert registry.keys() == []


@pytest.mark.parametrize("act", ["writes", "reads"])
def test_what_somebody_used_after_a_killed_run_is_not_touched(foreign: RedisServer, tmp_path: Path, act: str) -> None:
    """A stranger moved in after the lease was over: not a key is removed, and the error says why."""
    leave_remains(foreign, f"{base_of(foreign)}/1")
    with database(foreign, 1) as client:
        if act == "writes":
            client.set("precious", "1")
        else:
            client.get(b"left-\xff-0")
        before = client.dbsize()
        said = refusal(f"{base_of(foreign)}/1", tmp_path)
        assert client.dbsize() == before
    assert "a killed run had it, but 1 keys were used after that" in said


def test_keys_of_a_stranger_are_no_killed_runs_without_its_mark(foreign: RedisServer, tmp_path: Path) -> None:
    """A database that was given back as it should be has no mark: whatever is in it later is somebody else's."""
    with adopt(f"{base_of(foreign)}/1", tmp_path):
        pass
    with database(foreign, 1) as client:
        client.set("precious", "1")
        assert "database 1: not empty (1 keys)" in refusal(f"{base_of(foreign)}/1", tmp_path)
        assert client.get("precious") == "1"


def test_where_the_server_counts_uses_instead_of_time_nothing_is_removed(foreign: RedisServer, tmp_path: Path) -> None:
    """With an LFU policy the server cannot say when a key was used: refused, with its own words."""
    with database(foreign, 0) as registry, database(foreign, 1) as client:
        registry.set("ci-tools:used:1", "99999999999")
        client.set("left", "1")
        registry.config_set("maxmemory-policy", "allkeys-lfu")
        try:
            said = refusal(f"{base_of(foreign)}/1", tmp_path)
        finally:
            registry.config_set("maxmemory-policy", "noeviction")
        assert client.get("left") == "1"
    assert "which keys are its own cannot be told" in said


def test_the_provenance_says_adopted(foreign: RedisServer, tmp_path: Path) -> None:
    """Provider, version, host and port are those of the foreign server; no pid, since it is not ours."""
    with adopt(base_of(foreign), tmp_path) as provision:
        (one,) = provision.provenances
    expected = (Provider.ADOPTED, foreign.endpoint.provenance.version, "127.0.0.1", foreign.endpoint.port, 0)
    assert expected == (one.provider, one.version, one.host, one.port, one.pid)


def test_the_spec_may_refuse_to_adopt(foreign: RedisServer, tmp_path: Path) -> None:
    """A spec that wants the embedded server gets it, whatever the variable says."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, providers=(Provider.EMBEDDED,))
    with adopt(base_of(foreign), tmp_path, spec=spec) as provision:
        assert provision.provenances[0].provider == Provider.EMBEDDED


def refusal(url: str, folder: Path, **spec: str | float) -> str:
    """What is said when that URL is adopted."""
    with pytest.raises(ServiceError) as caught:
        adopt(url, folder, spec=ServiceSpec(kind=ServiceKind.REDIS, start_timeout_s=0.2, **spec))  # type: ignore[arg-type]
    assert caught.value.exit_code == ExitCode.SERVICE
    return str(caught.value)


def test_a_wrong_password_is_said_at_once_and_not_repeated(foreign: RedisServer, tmp_path: Path) -> None:
    """The server's own words are in the error; the password that was sent is not."""
    said = refusal(f"redis://:hunter2@127.0.0.1:{foreign.endpoint.port}", tmp_path)
    assert f"127.0.0.1:{foreign.endpoint.port} cannot be used" in said
    assert "hunter2" not in said


def test_a_version_that_does_not_fit_is_said(foreign: RedisServer, tmp_path: Path) -> None:
    """An adopted server of another version is refused with both versions."""
    said = refusal(base_of(foreign), tmp_path, version="<5")
    assert f"is version {foreign.endpoint.provenance.version}, wanted <5" in said


def test_nobody_there_is_said_with_the_errno(tmp_path: Path) -> None:
    """A refused connection gives host, port and the platform's errno in words."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    said = refusal(f"redis://127.0.0.1:{port}", tmp_path)
    assert f"127.0.0.1:{port} cannot be used: errno" in said
    assert "connection refused: nothing listens there" in said


def test_a_listener_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody accepts and says nothing: a bounded wait, then an error that says so."""
    monkeypatch.setattr(adopted, "_ADOPT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = refusal(f"redis://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert "Timeout" in said or "no answer" in said


def test_another_protocol_is_said(tmp_path: Path) -> None:
    """A web server is not taken for a Redis."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stopping = threading.Event()

        def serve() -> None:
            listener.settimeout(0.05)
            while not stopping.is_set():
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                with client:
                    client.recv(100)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert "cannot be used" in refusal(f"redis://127.0.0.1:{listener.getsockname()[1]}", tmp_path)
        finally:
            stopping.set()
            thread.join()


@pytest.fixture(scope="module")
def with_tls(started: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The same server behind a door with TLS."""
    with tls_door((started.endpoint.host, started.endpoint.port), tmp_path_factory.mktemp("tls")) as door:
        yield door


def test_a_server_with_tls_is_adopted_cleaned_and_given_back(with_tls: Door, foreign: RedisServer, tmp_path: Path) -> None:
    """Everything that speaks to it does so with TLS: leases, the clean database of a test, the probe."""
    url = f"rediss://:{foreign.endpoint.password}@127.0.0.1:{with_tls.port}?ssl_ca_certs={with_tls.certificate}"
    with adopt(url, tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        with redis.Redis.from_url(endpoint.url) as client:
            client.set("left", "1")
            cleaning.empty_redis(endpoint)
            assert (client.dbsize(), is_ready(endpoint)) == (0, True)


def test_a_certificate_that_nobody_signed_is_refused(with_tls: Door, foreign: RedisServer, tmp_path: Path) -> None:
    """In the words of TLS, which has numbers of its own: its 1 is no errno. ``none`` in the URL accepts it."""
    url = f"rediss://:{foreign.endpoint.password}@127.0.0.1:{with_tls.port}"
    assert "certificate verify failed: self-signed certificate" in refusal(url, tmp_path)
    assert "a certificate or key that the URL names is no file" in refusal(f"{url}?ssl_ca_certs={tmp_path}/none", tmp_path)
    with adopt(f"{url}?ssl_cert_reqs=none", tmp_path) as provision:
        cleaning.empty_redis(provision.slots[0].endpoints[0])


@pytest.mark.parametrize("options", ["db=2", "db=2&protocol=3"])
def test_a_database_in_the_query_is_the_one_that_is_leased(foreign: RedisServer, tmp_path: Path, options: str) -> None:
    """For the client it goes before the path, so it is the path from the start: leases in 0, the tests in 2."""
    with database(foreign, 2) as leased, adopt(f"{base_of(foreign)}?{options}", tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        with redis.Redis.from_url(endpoint.url) as client:
            client.set("left", "1")
        assert (endpoint.database, leased.keys()) == ("2", ["left"])
        with database(foreign, 0) as registry:
            assert set(registry.keys()) == {"ci-tools:lease:2", "ci-tools:used:2"}


def test_a_password_in_the_query_is_a_password_like_any(foreign: RedisServer, tmp_path: Path) -> None:
    """It is used, known to the endpoint, and in nothing that people read."""
    url = f"redis://127.0.0.1:{foreign.endpoint.port}?password={foreign.endpoint.password}"
    with adopt(url, tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        cleaning.empty_redis(endpoint)
        assert (foreign.endpoint.password, foreign.endpoint.password in f"{endpoint!r}") == (endpoint.password, False)


@pytest.mark.parametrize(("option", "said"), [("nonsense=1", "'nonsense'"), ("socket_timeout=x", "'socket_timeout'")])
def test_an_option_that_the_client_has_not_is_said(foreign: RedisServer, tmp_path: Path, option: str, said: str) -> None:
    """Exit code 12 with its name, and no traceback."""
    assert said in refusal(f"{base_of(foreign)}?{option}", tmp_path)


@pytest.mark.parametrize(
    "url", ["localhost:6379", "http://localhost", "redis://", "redis://localhost:port", "redis://localhost/db", "unix:///x"]
)
def test_what_is_no_url_of_a_redis_is_said_without_showing_it(tmp_path: Path, url: str) -> None:
    """The value may hold a password: the error names the variable and the expected form only."""
    said = refusal(url.replace("://", "://:hunter2@", 1), tmp_path)
    assert "CI_TOOLS_REDIS_URL is not the URL of a Redis" in said
    assert "hunter2" not in said
