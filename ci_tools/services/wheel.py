"""Wheel: a package's file fetched with pip, for any system, from the index that the user's pip is set up for."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from packaging.utils import parse_wheel_filename

from ci_tools.host.process import start
from ci_tools.services.readiness import log_tail
from ci_tools.services.table import Package

_LINES_SHOWN = 3


class NoPipError(Exception):
    """There is no pip to fetch with."""


class NotFetchedError(Exception):
    """Pip fetched nothing; the words are its own. ``is_other`` when it was offered a file of another digest."""

    def __init__(self, said: str, *, is_other: bool) -> None:
        super().__init__(said)
        self.is_other = is_other


def fetch(package: Package, sha256: str, folder: Path, *, timeout_s: float) -> Path:
    """The wheel, in ``folder``, of the very digest. Raises NoPipError, NotFetchedError, OSError."""
    (folder / "wanted.txt").write_text(f"{package.name}=={package.version} --hash=sha256:{sha256}\n", encoding="utf-8")
    argv = (
        *_pip(),
        *("download", "--quiet", "--no-input", "--disable-pip-version-check", "--retries", "1", "--no-deps", "--dest", "."),
        *("--require-hashes", "--requirement", "wanted.txt", *_target(package)),
    )
    log = folder / "pip.log"
    with start(argv, env=os.environ, cwd=folder, output=log) as pip:
        code = pip.wait(timeout_s)
    found = folder / package.file_name
    if code == 0 and found.is_file():
        return found
    said = [line for line in log_tail(log) if not line.startswith("WARNING")]
    why = "; ".join(line.strip() for line in said[-_LINES_SHOWN:]) or "not a word"
    raise NotFetchedError(f"pip was not done after {timeout_s:g} s" if code is None else why, is_other="HASHES" in "".join(said))


def _pip() -> tuple[str, ...]:
    """Ours, the system's, or one that uv has: an environment made by uv holds no pip."""
    if importlib.util.find_spec("pip") is not None:
        return sys.executable, "-m", "pip"
    for name in ("pip", "pip3"):
        found = shutil.which(name)
        if found is not None:
            return (found,)
    uv = shutil.which("uv")
    if uv is None:
        raise NoPipError("neither pip nor uv is here to fetch it with")
    return uv, "tool", "run", "pip"


def _target(package: Package) -> tuple[str, ...]:
    """The options that make pip take this very file, on whichever system it runs."""
    tag = min(parse_wheel_filename(package.file_name)[3], key=str)
    return (
        *("--only-binary", ":all:", "--ignore-requires-python", "--platform", tag.platform, "--abi", tag.abi),
        *("--implementation", tag.interpreter[:2], "--python-version", tag.interpreter[2:]),
    )
