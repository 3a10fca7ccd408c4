"""Versions: what a program says it is, and whether that lies in the wanted range."""

import contextlib
import re
import subprocess
from pathlib import Path

_VERSION_TIMEOUT_S = 10.0


def fits(version: str, wanted: str) -> bool:
    """Whether a server's version lies in the wanted range (PEP 440; empty for any)."""
    if not wanted:
        return True
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - most specs want any version

    return SpecifierSet(wanted).contains(version, prereleases=True)


def program_version(path: Path) -> str:
    """The version that ``--version`` prints; empty when it prints none."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        argv = [str(path), "--version"]
        ran = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_VERSION_TIMEOUT_S
        )
        found = re.search(r"\b(?:v=|v|PostgreSQL\) )?(\d+(?:\.\d+)+)", ran.stdout)
        if found:
            return found.group(1)
    return ""
