"""A stand-in for a container engine, which no test machine has to have: real servers, run as an engine would run them.

``run`` starts what stands for a container in a session of its own, beyond the reach of whoever called: only the end of
its first process ends it, and then everything in it is killed and its folder removed. Its standard input is closed when
the client that attached it is gone. Images are whatever server the environment names; the published port is the
server's own, for nothing here translates addresses.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

FACTS = Path(sys.argv[0]).resolve().with_name("engine.json")
"""Beside the program that bears the engine's name: ``state`` and ``postgres`` (folders), ``redis`` (program), ``account``."""

NO_SUCH_IMAGE, PORT_TAKEN = 1, 125
_END_TIMEOUT_S = 5.0
_GENTLY = (signal.SIGTERM, signal.SIGQUIT)
"""Redis heeds the first, PostgreSQL ends at once for the second."""


def main(argv: Sequence[str]) -> int:
    """One command of the engine's command line, as far as ci_tools uses it."""
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    state = Path(facts["state"])
    match list(argv):
        case ["version", *_]:
            sys.stdout.write("27.0-stand-in\n")
            return 0
        case ["image", "inspect", image] | ["pull", "--quiet", image]:
            return have(image, facts)
        case ["run", *words]:
            return run(words, facts, state)
        case ["docker-entrypoint", *words]:
            start_postgres(words, facts)
    sys.stderr.write(f"unknown command {argv}\n")
    return 2


def have(image: str, facts: dict[str, str]) -> int:
    """Whether there is such an image, here or anywhere."""
    if image in facts["images"]:
        return 0
    sys.stderr.write(f"Error response from daemon: manifest for {image} not found: manifest unknown\n")
    return NO_SUCH_IMAGE


def run(words: list[str], facts: dict[str, str], state: Path) -> int:
    """The client: attach, hand on what comes in and the signal to end, wait."""
    options, image, command = parse(words)
    host, port, _ = options["--publish"][0].split(":")
    if not is_free(host, int(port)):
        sys.stderr.write(f"docker: Error response from daemon: Bind for {host}:{port} failed: port is already allocated.\n")
        return PORT_TAKEN
    folder = state / options["--name"][0]
    folder.mkdir()
    handed = {name: os.environ[name] for name in options["--env"]}
    container = {"image": image, "argv": [*options["--entrypoint"], *command], "port": port, "environment": handed}
    (folder / "container.json").write_text(json.dumps(container | {"label": options["--label"]}), encoding="utf-8")
    status, told = os.pipe()
    attached, sink = os.pipe()
    if os.fork() == 0:  # the engine, of which the client is no relative
        os.setsid()
        if os.fork() == 0:
            os.close(sink)
            os.close(status)
            os.write(told, b"%d" % contain(folder, facts, attached if "--interactive" in options else -1))
        os._exit(0)
    os.close(told)
    os.close(attached)
    signal.signal(signal.SIGTERM, lambda *_: end_first(folder))
    threading.Thread(target=hand_on, args=(sink,), daemon=True).start()
    return int(os.read(status, 10) or b"1")


def end_first(folder: Path) -> None:
    """Hand on the signal to the container's first process."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((folder / "pid").read_text(encoding="utf-8")), signal.SIGTERM)


def parse(words: list[str]) -> tuple[dict[str, list[str]], str, list[str]]:
    """The options of ``run``, the image, and the arguments of its entry point."""
    options: dict[str, list[str]] = {}
    rest = list(words)
    while rest[0].startswith("--"):
        name = rest.pop(0)
        options.setdefault(name, [])
        if name not in ("--rm", "--interactive"):
            options[name].append(rest.pop(0))
    return options, rest[0], rest[1:]


def hand_on(sink: int) -> None:
    """Copy standard input to the container's, and close that one when ours ends."""
    with contextlib.suppress(OSError):
        while data := os.read(0, 4096):
            os.write(sink, data)
    os.close(sink)


def contain(folder: Path, facts: dict[str, str], attached: int) -> int:
    """The engine's side of one container: its first process, then the end of everything in it, then its removal."""
    container = json.loads((folder / "container.json").read_text(encoding="utf-8"))
    inside = folder / "bin"
    inside.mkdir()
    for name, script in programs(facts, container["port"]).items():
        (inside / name).write_text(script, encoding="utf-8")
        (inside / name).chmod(0o755)
    environment = {**container["environment"], "PATH": f"{inside}:{os.defpath}", "TMPDIR": str(folder)}
    stdin = subprocess.DEVNULL if attached < 0 else attached
    first = subprocess.Popen(container["argv"], env=environment, cwd=folder, stdin=stdin, start_new_session=True)
    (folder / "pid").write_text(str(first.pid), encoding="utf-8")
    code = first.wait()
    end_session(first.pid)
    shutil.rmtree(folder)
    return code if code >= 0 else 128 - code


def programs(facts: dict[str, str], port: str) -> dict[str, str]:
    """What the images hold, under the names that they have there."""
    me = f'exec "{sys.executable}" -I -S "{sys.argv[0]}"'
    return {
        "valkey-server": f'#!/bin/sh\nexec "{facts["redis"]}" "$@" --port {port} --bind 127.0.0.1\n',
        "docker-entrypoint.sh": f'#!/bin/sh\nPORT={port} {me} docker-entrypoint "$@"\n',
    }


def start_postgres(words: list[str], facts: dict[str, str]) -> None:
    """What PostgreSQL's image does: initdb with the password of the environment, then the server with these options."""
    folder, binaries = Path.cwd(), Path(facts["postgres"])
    data, secret = folder / "data", folder / "password"
    secret.write_text(os.environ["POSTGRES_PASSWORD"], encoding="utf-8")
    if facts["account"]:
        user, group = (int(number) for number in facts["account"].split(":"))
        for path in (folder, secret):
            os.chown(path, user, group)
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(secret)]
    subprocess.run([*initdb, *os.environ["POSTGRES_INITDB_ARGS"].split()], check=True, stdout=subprocess.DEVNULL, timeout=60)
    options = [*words[1:], "-p", os.environ["PORT"], "-c", f"unix_socket_directories={data}"]
    os.execv(binaries / "postgres", [str(binaries / "postgres"), "-D", str(data), *options])  # noqa: S606 - as the image's entry point does


def end_session(session: int) -> None:
    """End what is left of a container; gently first, for a PostgreSQL here has the machine's own shared memory."""
    deadline = time.monotonic() + _END_TIMEOUT_S
    while left := members(session):
        for pid in left:
            for number in _GENTLY if time.monotonic() < deadline else (signal.SIGKILL,):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        time.sleep(0.01)


def members(session: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, number = path.read_text().rpartition(")")[2].split()[:4]
            if int(number) == session and state != "Z":
                found.append(int(path.parent.name))
    return found


def is_free(host: str, port: int) -> bool:
    """Whether an engine could publish the port."""
    import socket  # noqa: PLC0415 - one command of five needs it

    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
