"""The container provider on a real engine: images are made here, so a machine with Podman needs no network."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from real_engine import POSTGRES_IMAGE, REDIS_IMAGE, ask, real_engine

from ci_tools.errors import ExitCode, ServiceError
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import leftovers
from ci_tools.services.probe import is_ready
from ci_tools.services.provision import provide

pytestmark = pytest.mark.slow

GONE_S = 30
IMAGES = {ServiceKind.REDIS: REDIS_IMAGE, ServiceKind.POSTGRES: POSTGRES_IMAGE}

PROVIDE = """
import os, sys
from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services.provision import provide

spec = ServiceSpec(kind=ServiceKind(sys.argv[1]), providers=(Provider.CONTAINER,), image=sys.argv[2])
provision = provide([spec], environ=os.environ, folder=None)
print(provision.slots[0].endpoints[0].port, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Path]:
    """The engine's program."""
    with real_engine() as program:
        yield program


@pytest.fixture(autouse=True)
def on_path(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine and the system's own programs, and no other engine."""
    monkeypatch.setenv("PATH", f"{engine.parent}:/usr/bin:/bin:/usr/sbin:/sbin")


def contained(kind: ServiceKind, **settings: object) -> ServiceSpec:
    """A spec that wants a container of one of the images."""
    return replace(ServiceSpec(kind=kind, providers=(Provider.CONTAINER,), image=IMAGES[kind]), **settings)  # type: ignore[arg-type]  # each value is its field's


def on(engine: Path) -> dict[str, str]:
    """An environment in which this is the only engine."""
    return {"PATH": f"{engine.parent}:/usr/bin:/bin:/usr/sbin:/sbin"}


def containers(engine: Path) -> list[str]:
    """All that are there, whatever their state."""
    return ask(engine, "ps", "--all", "--quiet").stdout.split()


def is_gone(engine: Path) -> bool:
    """Whether no container is left, within some seconds."""
    deadline = time.monotonic() + GONE_S
    while containers(engine) and time.monotonic() < deadline:
        pass
    return not containers(engine)


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_a_server_in_a_container_answers_and_is_removed(engine: Path, kind: ServiceKind) -> None:
    """Its own protocol, over the published port, with this start's password alone; afterwards no container, no port."""
    with provide([contained(kind)], environ=on(engine), folder=None) as provision:
        endpoint = provision.slots[0].endpoints[0]
        assert (is_ready(endpoint), len(containers(engine))) == (True, 1)
        assert not is_ready(replace(endpoint, url=endpoint.url.replace(endpoint.password, "wrong"), password="wrong"))  # noqa: S106 - wrong on purpose
        (came,) = provision.provenances
        assert (came.provider, came.version[0].isdecimal(), IMAGES[kind] in came.reason) == (Provider.CONTAINER, True, True)
        seen = ask(engine, "inspect", *containers(engine)).stdout
        arguments = [" ".join(process.cmdline()) for process in psutil.Process().children(recursive=True)]
        assert (endpoint.password in " ".join(arguments), f"ci-tools-{came.port}" in seen) == (False, False)
    assert is_gone(engine)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((endpoint.host, endpoint.port), timeout=2).close()


@pytest.mark.parametrize("whom", ["us", "us and all that we started"])
@pytest.mark.parametrize("kind", list(ServiceKind))
def test_no_container_survives_us(engine: Path, kind: ServiceKind, whom: str) -> None:
    """SIGKILL to us alone, or to guard, lifeline and client as well: the container ends and is removed by its engine."""
    argv = [sys.executable, "-c", PROVIDE, kind, IMAGES[kind]]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        port = int(ours.stdout.readline())
        doomed = [psutil.Process(ours.pid)]
        if whom != "us":
            doomed += doomed[0].children(recursive=True)
        for process in doomed:
            process.kill()
    assert is_gone(engine)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    if whom != "us":
        leftovers.reap()


def test_a_port_that_somebody_has_is_left_to_him(engine: Path) -> None:
    """The engine's own words for a taken port are known: the container answers on another one."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        with provide([contained(ServiceKind.REDIS, port=taken)], environ=on(engine), folder=None) as provision:
            endpoint = provision.slots[0].endpoints[0]
            assert (endpoint.port != taken, is_ready(endpoint)) == (True, True)
    assert is_gone(engine)


def test_a_version_that_does_not_fit_is_refused_and_removed(engine: Path) -> None:
    """What the server says of itself decides; nothing runs on."""
    with pytest.raises(ServiceError, match="wanted >=99") as caught:
        provide([contained(ServiceKind.REDIS, version=">=99")], environ=on(engine), folder=None)
    assert (caught.value.exit_code, is_gone(engine)) == (ExitCode.SERVICE, True)


def test_an_image_that_nobody_has_is_said(engine: Path) -> None:
    """In the engine's own words, before anything is started."""
    with pytest.raises(ServiceError, match="is not here and cannot be fetched") as caught:
        provide([contained(ServiceKind.REDIS, image="localhost/none:1")], environ=on(engine), folder=None)
    assert (caught.value.exit_code, "podman: " in str(caught.value)) == (ExitCode.SERVICE, True)
