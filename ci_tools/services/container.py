"""Container: a server out of an image, where an engine answers and the spec names this provider.

The engine's client runs in the foreground under a guard and hands signals on to the server: when we die, the guard
asks the client to end, the server ends with it, and the engine removes the container.
"""

import secrets
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci_tools.host import ports

REDIS_IMAGE = "docker.io/valkey/valkey:9.1-alpine"
FLAGS_VARIABLE = "VALKEY_EXTRA_FLAGS"
"""What the image adds to the server's command; the password reaches it this way and stands in no list of processes."""

_ENGINES = ("docker", "podman")
_REDIS_PORT = 6379
_ANSWER_TIMEOUT_S = 10.0


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
            ran = subprocess.run(
                [program, "version", "--format", "{{.Server.Version}}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_ANSWER_TIMEOUT_S,
                env=dict(environ),
                check=False,
            )
        except subprocess.TimeoutExpired:
            tried.append(f"container: {name} did not answer within {_ANSWER_TIMEOUT_S:g} s")
            continue
        if ran.returncode == 0:
            return Engine(program=Path(program), version=ran.stdout.strip())
        tried.append(f"container: {name} does not answer: {ran.stderr.strip()[:200]}")
    return None


def redis_argv(engine: Path, image: str, port: int) -> tuple[str, ...]:
    """The engine's command for a server on a port of loopback, removed by the engine when it ends."""
    name = f"ci-tools-{secrets.token_hex(4)}"
    return (
        *(str(engine), "run", "--rm", "--init", "--name", name, "--label", "ci-tools"),
        *("--publish", f"{ports.LOOPBACK}:{port}:{_REDIS_PORT}", "--env", FLAGS_VARIABLE, image),
    )


def redis_flags(settings: Mapping[str, str]) -> str:
    """The server's settings as the image's entry point reads them: words of a shell, none with a space in it."""
    return " ".join(f"--{name} {value}" for name, value in settings.items())
