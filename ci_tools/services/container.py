"""Container: a server out of an image, where an engine answers and the spec names this provider.

What the engine is told is decided here, from given facts; ``lifeline`` runs its client. The container ends by itself
when its standard input does, and the engine closes that as soon as the client is gone: so it survives nobody's death,
also where the engine is another machine.
"""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import ServiceError
from ci_tools.host import ports
from ci_tools.model.service import ServiceKind

IMAGES = {
    ServiceKind.REDIS: "docker.io/valkey/valkey:9.1-alpine",
    ServiceKind.POSTGRES: "docker.io/library/postgres:18-alpine",
}
LABEL = "ci-tools"
SETTINGS_VARIABLE = "CI_TOOLS_SETTINGS"
"""Holds a Redis' configuration. Variables are handed over by name: a password stands in no list of processes."""
PASSWORD_VARIABLE = "POSTGRES_PASSWORD"  # noqa: S105 - the name that the image reads

TAKEN_PORT = ("port is already allocated", "address already in use")
"""What engines say of a port that somebody has."""

_ENGINES = ("docker", "podman")
_INSIDE = {ServiceKind.REDIS: 6379, ServiceKind.POSTGRES: 5432}
_ANSWER_TIMEOUT_S = 10.0
_PULL_TIMEOUT_S = 600.0

_UNTIL_INPUT_ENDS = """
exec 3<&0
trap 'exit 143' TERM INT
"$@" 3<&- &
server=$!
{ cat <&3 >/dev/null; kill -TERM $$ 2>/dev/null; } &
wait "$server"
"""
"""The container's first process: when it ends, for whichever reason, the kernel ends all others in there."""

_REDIS = """
umask 077
settings=$(mktemp)
printf '%s\\n' "$CI_TOOLS_SETTINGS" >"$settings"
unset CI_TOOLS_SETTINGS
exec "$(command -v valkey-server || command -v redis-server)" "$settings"
"""
"""The same for the images of Valkey and of Redis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine that answers."""

    program: Path
    version: str


def find_engine(environ: Mapping[str, str], tried: list[str]) -> Engine | None:
    """The first engine on PATH whose server answers; the others are appended to ``tried``."""
    for name in _ENGINES:
        program = shutil.which(name, path=environ.get("PATH", ""))
        if program is None:
            tried.append(f"container: no {name} on PATH")
            continue
        try:
            ran = _ask(Path(program), ("version", "--format", "{{.Server.Version}}"), environ, _ANSWER_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            tried.append(f"container: {name} did not answer ({error})")
            continue
        if ran.returncode == 0:
            return Engine(program=Path(program), version=ran.stdout.strip())
        tried.append(f"container: {name} does not answer: {ran.stderr.strip()[:200]}")
    return None


def demand_image(engine: Path, image: str, environ: Mapping[str, str]) -> None:
    """Have the image on this machine, so that fetching it takes no time of the server's start. ServiceError when it cannot be."""
    try:
        if _ask(engine, ("image", "inspect", image), environ, _ANSWER_TIMEOUT_S).returncode == 0:
            return
        pulled = _ask(engine, ("pull", "--quiet", image), environ, _PULL_TIMEOUT_S)
        said = pulled.stderr.strip()[-500:] if pulled.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if said:
        raise ServiceError(
            f"the image {image} is not here and cannot be fetched",
            details=[f"{engine.name}: {line}" for line in said.splitlines()],
            hint=f"`{engine.name} pull {image}` says more; `image` of the service can name another one",
        )


def run_arguments(kind: ServiceKind, image: str, *, port: int, name: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    """What the engine's client is told: a server on a port of loopback, removed by the engine when it ends.

    ``settings`` are those of PostgreSQL; a Redis reads its own, and its password, from ``SETTINGS_VARIABLE``.
    """
    match kind:
        case ServiceKind.REDIS:
            variables: tuple[str, ...] = (SETTINGS_VARIABLE,)
            command: tuple[str, ...] = ("/bin/sh", "-c", _REDIS)
        case ServiceKind.POSTGRES:
            variables = (PASSWORD_VARIABLE, "POSTGRES_INITDB_ARGS")
            command = ("docker-entrypoint.sh", "postgres", *_options(settings))
    return (
        *("run", "--rm", "--interactive", "--name", name, "--label", LABEL),
        *("--publish", f"{ports.LOOPBACK}:{port}:{_INSIDE[kind]}"),
        *(word for variable in variables for word in ("--env", variable)),
        *("--entrypoint", "/bin/sh", image, "-c", _UNTIL_INPUT_ENDS, LABEL, *command),
    )


def redis_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """What ``run_arguments`` of a Redis hands over by name."""
    return {SETTINGS_VARIABLE: "\n".join(f"{name} {value}" for name, value in settings.items())}


def postgres_environment(password: str) -> dict[str, str]:
    """What ``run_arguments`` of a PostgreSQL hands over by name."""
    return {PASSWORD_VARIABLE: password, "POSTGRES_INITDB_ARGS": "--no-sync --encoding=UTF8 --no-locale"}


def _options(settings: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for name, value in settings.items() for word in ("-c", f"{name}={value}"))


def _ask(engine: Path, words: tuple[str, ...], environ: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(engine), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=dict(environ),
        check=False,
    )
