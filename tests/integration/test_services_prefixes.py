"""Adopted Redis beyond its databases: accounts with a prefix of their own, leased on a real server that is not ours."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from ci_tools.errors import ExitCode, ServiceError
from ci_tools.model.service import Endpoint, Isolation, ServiceKind, ServiceSpec
from ci_tools.services import leases, resp
from ci_tools.services.provision import Provision, provide
from ci_tools.services.redis import RedisServer, start_redis

REDIS = ServiceSpec(kind=ServiceKind.REDIS)
TIMEOUT_S = 20


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[RedisServer]:
    """Somebody else's server with two databases: one can be leased, for database 0 holds the leases."""
    with start_redis(replaced(databases="2"), environ={"PATH": ""}, folder=tmp_path) as server:
        yield server


def replaced(**options: str) -> ServiceSpec:
    """A spec with these options of the server."""
    return ServiceSpec(kind=ServiceKind.REDIS, options={name.replace("_", "-"): value for name, value in options.items()})


def adopt(server: RedisServer, folder: Path, *, slots: int = 1, spec: ServiceSpec = REDIS) -> Provision:
    """What a run does when the variable is set."""
    url = server.url.rpartition("/")[0]
    return provide([spec], environ={"PATH": "", "CI_TOOLS_REDIS_URL": url}, folder=folder, slots=slots)


def of(provision: Provision) -> list[Endpoint]:
    """The endpoint of each slot."""
    return [slot.endpoints[0] for slot in provision.slots]


def client_of(endpoint: Endpoint) -> "redis.Redis":
    """A client as a test makes it, from the URL alone."""
    return redis.Redis.from_url(endpoint.url, decode_responses=True)


def registry_of(server: RedisServer, database: int = 0) -> "redis.Redis":
    """A client of the foreign server with all rights."""
    return redis.Redis.from_url(f"{server.url.rpartition('/')[0]}/{database}", decode_responses=True)


def test_five_workers_on_two_databases_have_five_parts(foreign: RedisServer, tmp_path: Path) -> None:
    """One gets the database, four get a prefix each; what each writes the others cannot read, and it says where to write."""
    with adopt(foreign, tmp_path, slots=5) as provision, registry_of(foreign) as registry:
        endpoints = of(provision)
        prefixes = [endpoint.prefix for endpoint in endpoints]
        assert [(endpoint.database, bool(endpoint.prefix)) for endpoint in endpoints] == [("1", False)] + [("0", True)] * 4
        assert len(set(prefixes)) == 5
        environments = [slot.environment.get("CI_TOOLS_REDIS_PREFIX", "") for slot in provision.slots]
        assert environments == prefixes
        names = {f"ci-tools:lease:{endpoint.username or endpoint.database}" for endpoint in endpoints[1:]}
        assert {"ci-tools:lease:1", "ci-tools:used:1", *names} == set(registry.keys())
        assert all(0 < registry.pttl(name) <= leases.LEASE_S * 1000 for name in names)
        for endpoint in endpoints[1:]:
            with client_of(endpoint) as client:
                client.set(f"{endpoint.prefix}key", endpoint.username)
        for endpoint in endpoints[1:]:
            with client_of(endpoint) as client:
                assert client.get(f"{endpoint.prefix}key") == endpoint.username
                others = [other for other in prefixes if other not in ("", endpoint.prefix)]
                for other in others:
                    with pytest.raises(NoPermissionError):
                        client.get(f"{other}key")


def test_a_channel_has_the_prefix_too(foreign: RedisServer, tmp_path: Path) -> None:
    """Pub/sub is global across databases: an account hears and says nothing outside its prefix."""
    with adopt(foreign, tmp_path, slots=3) as provision:
        first, second = of(provision)[1:]
        with client_of(first) as one, client_of(second) as other, one.pubsub() as heard:
            heard.subscribe(f"{first.prefix}news")
            assert heard.get_message(timeout=5)["type"] == "subscribe"
            with pytest.raises(NoPermissionError):
                other.publish(f"{first.prefix}news", "from a stranger")
            with pytest.raises(NoPermissionError):
                other.publish("news", "to all")
            assert one.publish(f"{first.prefix}news", "ours") == 1
            assert heard.get_message(timeout=5)["data"] == "ours"


@pytest.mark.parametrize(
    "words",
    [
        "FLUSHALL",
        "FLUSHDB",
        "SELECT 1",
        "SWAPDB 0 1",
        "CONFIG SET save 60",
        "ACL LIST",
        "SET outside 1",
        "FUNCTION FLUSH",
        "SHUTDOWN",
    ],
)
def test_a_prefix_gives_no_right_to_what_is_everybodys(foreign: RedisServer, tmp_path: Path, words: str) -> None:
    """No flush, no other database, no settings, no accounts, no key elsewhere."""
    with adopt(foreign, tmp_path, slots=2) as provision, client_of(of(provision)[1]) as client:
        with pytest.raises(NoPermissionError):
            client.execute_command(*words.split())
        assert client.ping()


def test_streams_scripts_and_transactions_work_under_a_prefix(foreign: RedisServer, tmp_path: Path) -> None:
    """What suites use of Redis works as long as its keys begin with the prefix."""
    with adopt(foreign, tmp_path, slots=2) as provision:
        endpoint = of(provision)[1]
        with client_of(endpoint) as client:
            client.xadd(f"{endpoint.prefix}stream", {"a": "1"})
            client.xgroup_create(f"{endpoint.prefix}stream", "readers", id="0")
            assert len(client.xreadgroup("readers", "me", {f"{endpoint.prefix}stream": ">"})[0][1]) == 1
            assert client.eval("return redis.call('INCR', KEYS[1])", 1, f"{endpoint.prefix}counter") == 1
            with client.pipeline(transaction=True) as pipeline:
                pipeline.incr(f"{endpoint.prefix}counter").expire(f"{endpoint.prefix}counter", 60)
                assert pipeline.execute() == [2, True]


def test_what_was_leased_is_given_back_and_nothing_else_is_touched(foreign: RedisServer, tmp_path: Path) -> None:
    """Accounts, keys and leases are gone; the server was never flushed, so keys and accounts of others are there."""
    with registry_of(foreign) as registry, registry_of(foreign, 1) as other:
        registry.acl_setuser("somebody", enabled=True, nopass=True)
        other.set("precious", "1")
        with adopt(foreign, tmp_path, slots=3) as provision:
            endpoints = of(provision)
            for endpoint in endpoints:
                with client_of(endpoint) as client:
                    client.mset({f"{endpoint.prefix}{number}": number for number in range(1500)})
        assert (registry.keys(), other.keys()) == ([], ["precious"])
        assert sorted(registry.acl_users()) == ["default", "somebody"]
        used = registry.info("commandstats")
        assert [name for name in used if "flush" in name] == []


def test_keys_of_others_in_database_0_are_a_reason_to_refuse(foreign: RedisServer, tmp_path: Path) -> None:
    """Prefixes live in database 0: where somebody else does as well, none is made, and nothing stays leased."""
    with registry_of(foreign) as registry:
        registry.set("precious", "1")
        with pytest.raises(ServiceError, match="free and empty") as caught:
            adopt(foreign, tmp_path, slots=2)
        assert caught.value.exit_code == ExitCode.SERVICE
        assert "no account in their stead: database 0, where they would live, holds keys that are not ours" in str(caught.value)
        assert (registry.keys(), registry.acl_users()) == (["precious"], ["default"])


def test_a_url_that_names_a_database_gives_nothing_beyond_it(foreign: RedisServer, tmp_path: Path) -> None:
    """Who writes /1 means that database alone."""
    environ = {"PATH": "", "CI_TOOLS_REDIS_URL": f"{foreign.url.rpartition('/')[0]}/1"}
    with pytest.raises(ServiceError, match="free and empty"):
        provide([REDIS], environ=environ, folder=tmp_path, slots=2)


def test_shared_slots_share_one_prefix(foreign: RedisServer, tmp_path: Path) -> None:
    """With shared isolation all slots of a run that came too late for a database have one account."""
    spec = ServiceSpec(kind=ServiceKind.REDIS, isolation=Isolation.SHARED)
    with adopt(foreign, tmp_path), adopt(foreign, tmp_path, slots=3, spec=spec) as second:
        assert len({endpoint.username for endpoint in of(second)}) == 1
        assert of(second)[0].prefix


def test_a_server_without_accounts_says_so(tmp_path: Path) -> None:
    """Where the command is unknown, as before Redis 6, the error says what was tried instead of a database."""
    spec = replaced(databases="2", rename_command='ACL ""')
    with start_redis(spec, environ={"PATH": ""}, folder=tmp_path) as server:
        with pytest.raises(ServiceError) as caught:
            adopt(server, tmp_path, slots=2)
        assert re.search("no account in their stead: unknown command .ACL", str(caught.value))
        with registry_of(server) as registry:
            assert registry.keys() == []


@pytest.mark.parametrize(("version", "refused"), [("5.0.14", True), ("6.0.16", True), ("6.2.0", False), ("7.2.4", False)])
def test_the_version_decides_whether_there_are_accounts(foreign: RedisServer, version: str, refused: bool) -> None:
    """Patterns of channels came with 6.2: an older server is refused by its number."""
    from ci_tools.services import prefixes  # noqa: PLC0415 - one test asks for the decision itself

    with registry_of(foreign) as registry:
        said = prefixes.refusal(registry, version)
    assert (f"it is Redis {version}, and accounts with prefixes of channels came with 6.2" if refused else "") == said


def test_who_may_not_make_accounts_is_told(foreign: RedisServer, tmp_path: Path) -> None:
    """An adopting account without the right to ACL gets its database, and for the next slot the server's own refusal."""
    with registry_of(foreign) as registry:
        registry.acl_setuser(
            "limited", enabled=True, passwords=["+s3cret"], keys=["*"], channels=["*"], categories=["+@all"], commands=["-acl"]
        )
    environ = {"PATH": "", "CI_TOOLS_REDIS_URL": f"redis://limited:s3cret@127.0.0.1:{foreign.endpoint.port}"}
    with provide([REDIS], environ=environ, folder=tmp_path) as provision:
        assert (of(provision)[0].database, of(provision)[0].username) == ("1", "limited")
    with pytest.raises(ServiceError, match="free and empty") as caught:
        provide([REDIS], environ=environ, folder=tmp_path, slots=2)
    assert "no account in their stead: " in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_server_that_hides_how_many_databases_it_has_is_used_to_its_last(tmp_path: Path) -> None:
    """Managed servers have no CONFIG: the first index that is out of range ends the search, and prefixes follow."""
    spec = replaced(databases="3", rename_command='CONFIG ""')
    with start_redis(spec, environ={"PATH": ""}, folder=tmp_path) as server:
        with adopt(server, tmp_path, slots=4) as provision:
            assert [(one.database, bool(one.prefix)) for one in of(provision)] == [
                ("1", False),
                ("2", False),
                ("0", True),
                ("0", True),
            ]
        with registry_of(server) as registry:
            assert registry.keys() == []


def test_the_heartbeat_renews_the_lease_of_a_prefix(
    foreign: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease of 0.6 s is held after several times that, and a run that begins then takes nothing away."""
    monkeypatch.setattr(leases, "LEASE_S", 0.6)
    with adopt(foreign, tmp_path, slots=2) as provision, registry_of(foreign) as registry:
        endpoint = of(provision)[1]
        threading.Event().wait(1.5)
        assert registry.pttl(f"ci-tools:lease:{endpoint.username}") > 0
        with adopt(foreign, tmp_path), client_of(endpoint) as client:
            assert client.set(f"{endpoint.prefix}kept", "1")


def test_a_lost_lease_of_a_prefix_is_an_error_at_the_end(foreign: RedisServer, tmp_path: Path) -> None:
    """Somebody removed the lease: the run says that it may be mixed with another's."""
    provision = adopt(foreign, tmp_path, slots=2)
    endpoint = of(provision)[1]
    with registry_of(foreign) as registry:
        registry.delete(f"ci-tools:lease:{endpoint.username}")
        with pytest.raises(ServiceError, match=f"lease of account {endpoint.username} .* was lost during the run"):
            provision.close()


LEASE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services import leases
from ci_tools.services.provision import provide
import redis
leases.LEASE_S = 3.0
provision = provide([ServiceSpec(kind=ServiceKind.REDIS)], environ=os.environ, folder=Path(sys.argv[1]), slots=3)
for slot in provision.slots:
    endpoint = slot.endpoints[0]
    redis.Redis.from_url(endpoint.url).set(endpoint.prefix + "left", 1)
print(provision.slots[1].endpoints[0].username, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_removed_by_the_next(foreign: RedisServer, tmp_path: Path) -> None:
    """Once its lease is over, a dead run's account and keys go, those of its database too; the next run gets that."""
    environ = {**os.environ, "CI_TOOLS_REDIS_URL": foreign.url.rpartition("/")[0]}
    argv = [sys.executable, "-c", LEASE_AND_DIE, str(tmp_path)]
    ran = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    with registry_of(foreign) as registry:
        assert ran.stdout.strip() in registry.acl_users()
        pause = threading.Event()
        for _ in range(TIMEOUT_S * 20):
            if not list(registry.scan_iter("ci-tools:lease:*")):
                break
            pause.wait(0.05)
        with adopt(foreign, tmp_path) as provision:
            (endpoint,) = of(provision)
            assert (endpoint.database, endpoint.prefix, client_of(endpoint).dbsize()) == ("1", "", 0)
            assert set(registry.acl_users()) == {"default"}
            assert set(registry.keys()) == {"ci-tools:lease:1", "ci-tools:used:1"}
        assert (registry.keys(), registry.acl_users()) == ([], ["default"])


def lease_in_turn(url: str, number: int, results: "multiprocessing.Queue[tuple[int, list[str]]]") -> None:
    """One run of several at once: what it got."""
    with provide([REDIS], environ={"PATH": "", "CI_TOOLS_REDIS_URL": url}, folder=None, slots=5) as provision:
        results.put((number, [endpoint.prefix or endpoint.database for endpoint in of(provision)]))
        barrier_key = "ci-tools:test-barrier"
        with redis.Redis.from_url(url) as client:
            client.incr(barrier_key)
            for _ in range(TIMEOUT_S * 100):
                if int(client.get(barrier_key) or 0) >= 3:
                    break
                threading.Event().wait(0.01)


def test_three_runs_at_once_never_share_a_part(foreign: RedisServer) -> None:
    """Three processes, five slots each, all held at the same time: fifteen parts, no two the same, nothing left."""
    url = foreign.url.rpartition("/")[0]
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    runs = [context.Process(target=lease_in_turn, args=(url, number, results)) for number in range(3)]
    for run in runs:
        run.start()
    got = [results.get(timeout=60) for _ in runs]
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0, 0]
    parts = [part for _, each in got for part in each]
    assert (len(parts), len(set(parts))) == (15, 15)
    with registry_of(foreign) as registry:
        assert (registry.keys(), registry.acl_users()) == (["ci-tools:test-barrier"], ["default"])


def test_a_probe_may_sign_in_with_user_and_password(foreign: RedisServer, tmp_path: Path) -> None:
    """The endpoint's own fields are enough for who speaks the protocol without a client library."""
    with adopt(foreign, tmp_path, slots=2) as provision:
        endpoint = of(provision)[1]
        with resp.connect_tcp(endpoint.host, endpoint.port, 5) as connection:
            assert connection.ask("AUTH", endpoint.username, endpoint.password) == "OK"
            assert connection.ask("PING") == "PONG"
