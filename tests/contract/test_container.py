"""The container provider on a stand-in for an engine, with real servers: what is said to it, and what is left of it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from stand_in import left_of, stand_in

from ci_tools.errors import ExitCode, ServiceError
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import container, leftovers
from ci_tools.services.postgres import start_postgres
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import provide
from ci_tools.services.redis import start_redis

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for an engine finds its processes in /proc")

PROVIDE = """
import sys
from pathlib import Path
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services.provision import provide

spec = ServiceSpec(kind=ServiceKind(sys.argv[1]), providers=(Provider.CONTAINER,))
provision = provide([spec], environ={"PATH": sys.argv[2]}, folder=Path(sys.argv[3]))
endpoint = provision.slots[0].endpoints[0]
print(endpoint.port, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def engine() -> Iterator[Path]:
    """The stand-in's program; no container may be left after the test."""
    with stand_in() as program:
        yield program


def contained(kind: ServiceKind, **settings: str | int) -> ServiceSpec:
    """A spec that wants a container and nothing else."""
    return ServiceSpec(kind=kind, providers=(Provider.CONTAINER,), **settings)  # type: ignore[arg-type]  # each value is its field's


def on(engine: Path) -> dict[str, str]:
    """An environment in which the stand-in is the engine."""
    return {"PATH": str(engine.parent)}


@pytest.mark.parametrize("whom", ["us", "us and all that we started"])
@pytest.mark.parametrize("kind", list(ServiceKind))
def test_no_container_survives_us(engine: Path, tmp_path: Path, kind: ServiceKind, whom: str) -> None:
    """SIGKILL to us alone, or to guard, lifeline and client as well: the container ends and is removed, its port refuses."""
    argv = [sys.executable, "-c", PROVIDE, kind, str(engine.parent), str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        port = int(ours.stdout.readline())
        assert len(list(engine.with_name("state").iterdir())) == 1
        doomed = [psutil.Process(ours.pid)]
        if whom != "us":
            doomed += doomed[0].children(recursive=True)
        for process in doomed:
            process.kill()
    assert left_of(engine) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    if whom != "us":
        assert kind in [one.name for one in leftovers.reap()]  # without its guard a home is left, and its trace says whose


def test_a_client_that_is_killed_takes_its_container_along(engine: Path, tmp_path: Path) -> None:
    """The lifeline is the client's: without it the engine closes the container's input."""
    with provide([contained(ServiceKind.REDIS)], environ=on(engine), folder=tmp_path) as provision:
        lifeline = psutil.Process(provision.provenances[0].pid)
        (client,) = lifeline.children()
        client.send_signal(signal.SIGKILL)
        assert left_of(engine) == []


def test_a_port_that_somebody_has_is_left_to_him(engine: Path, tmp_path: Path) -> None:
    """The engine refuses the preferred port: the container answers on another one."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        with provide([contained(ServiceKind.REDIS, port=taken)], environ=on(engine), folder=tmp_path) as provision:
            endpoint = provision.slots[0].endpoints[0]
            assert endpoint.port != taken
            assert is_ready(endpoint)


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_an_image_that_nobody_has_is_said(engine: Path, tmp_path: Path, kind: ServiceKind) -> None:
    """Exit code 12 with the engine's own words and the command that says more, before anything is started."""
    with pytest.raises(ServiceError, match=r"the image nowhere/none:1 is not here and cannot be fetched") as caught:
        provide([contained(kind, image="nowhere/none:1")], environ=on(engine), folder=tmp_path)
    assert caught.value.exit_code == ExitCode.SERVICE
    assert "manifest unknown" in str(caught.value)
    assert "`docker pull nowhere/none:1`" in str(caught.value)


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_an_engine_that_does_not_answer_is_passed_over(tmp_path: Path, kind: ServiceKind) -> None:
    """A client without its engine is one line of what was tried, in its own words; and so is an engine that is missing."""
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    client.chmod(0o755)
    with pytest.raises(ServiceError) as caught:
        provide([contained(kind)], environ={"PATH": str(tmp_path)}, folder=tmp_path)
    assert [line for line in caught.value.details if "container" in line] == [
        "tried: container: docker does not answer: Cannot connect to the Docker daemon",
        "tried: container: no podman on PATH",
    ]


def test_a_contained_server_is_killed_and_restarted_as_any_other(engine: Path, tmp_path: Path) -> None:
    """Same URL, empty again."""
    with start_redis(contained(ServiceKind.REDIS), environ=on(engine), folder=tmp_path) as server:
        url = server.url
        server.kill()
        assert left_of(engine) == []
        assert server.restart().url == url
        assert is_ready(server.endpoint)


def test_the_servers_options_reach_the_server(engine: Path, tmp_path: Path) -> None:
    """What the spec's options say holds inside, beside durability being off."""
    from ci_tools.services import databases, pgwire  # noqa: PLC0415 - one test of many asks a PostgreSQL

    spec = ServiceSpec(kind=ServiceKind.POSTGRES, providers=(Provider.CONTAINER,), options={"work_mem": "7MB"})
    with start_postgres(spec, environ=on(engine), folder=tmp_path) as server:  # noqa: SIM117 - the server's life and its use
        with pgwire.connect(databases.target_of(server.endpoint)) as connection:
            assert [connection.value(f"SHOW {name}") for name in ("work_mem", "fsync")] == ["7MB", "off"]


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_the_command_binds_loopback_alone_and_names_no_secret(kind: ServiceKind) -> None:
    """Given facts decide: removed at its end, attached, labelled, published on 127.0.0.1, variables by name only."""
    words = container.run_arguments(kind, "some/image:1", port=7001, name="ci-tools-x", settings={"fsync": "off"})
    inside = {ServiceKind.REDIS: 6379, ServiceKind.POSTGRES: 5432}[kind]
    assert words[:7] == ("run", "--rm", "--interactive", "--name", "ci-tools-x", "--label", "ci-tools")
    assert words[7:9] == ("--publish", f"127.0.0.1:7001:{inside}")
    assert [word for word in words if word.startswith(("CI_TOOLS_SETTINGS=", "POSTGRES_PASSWORD="))] == []
    environment = {
        ServiceKind.REDIS: container.redis_environment({"requirepass": "s3cret"}),
        ServiceKind.POSTGRES: container.postgres_environment("s3cret"),
    }[kind]
    assert {name for at, name in enumerate(words) if words[at - 1] == "--env"} == set(environment)
    assert any("s3cret" in value for value in environment.values())


def test_no_secret_is_seen_among_the_processes(engine: Path, tmp_path: Path) -> None:
    """While the container runs no command line on the machine holds its password."""
    with provide([contained(ServiceKind.REDIS)], environ=on(engine), folder=tmp_path) as provision:
        password = provision.slots[0].endpoints[0].password
        seen = []
        for process in psutil.process_iter():
            try:
                seen.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        assert any(str(engine) in line for line in seen)
        assert [line for line in seen if password in line] == []


def test_the_doctor_asks_an_engine_that_the_project_names(engine: Path, tmp_path: Path) -> None:
    """`services doctor` starts a container and says where it came from; nothing of it is left."""
    (tmp_path / "pyproject.toml").write_text('[tool.ci-tools.services.redis]\nproviders = ["container"]\n', encoding="utf-8")
    argv = [sys.executable, "-m", "ci_tools", "services", "doctor"]
    ran = subprocess.run(
        argv, cwd=tmp_path, env={**os.environ, **on(engine)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (ExitCode.PASSED, "redis: served by container"), ran.stderr
    assert "docker.io/valkey/valkey:9.1-alpine on docker 27.0-stand-in" in ran.stdout
    assert left_of(engine) == []
