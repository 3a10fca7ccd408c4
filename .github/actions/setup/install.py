"""Installs ci-tools from this action's own commit: a lock with hashes, what else was asked for, then ci-tools itself.

Standard library only: nothing is installed yet when it runs. Inputs come by environment variables alone.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The repository of this action, checked out by the runner at exactly the commit that the workflow names."""

PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet")


def commands(requirements: str, install: str, wheel: str = "") -> list[list[str]]:
    """The pip commands, in order. A lock that does not hold what ci-tools needs is found by ``pip check`` at the end."""
    toolkit = str(_only_wheel(Path(wheel))) if wheel else str(ROOT)
    lock = requirements or str(ROOT / "requirements" / "setup.txt")
    asked = [line.strip() for line in install.splitlines() if line.strip()]
    return [
        [*PIP, "--require-hashes", "--requirement", lock],
        *([[*PIP, *asked]] if asked else []),
        # Not built in isolation: that would fetch a build backend past the lock. The lock holds it.
        [*PIP, "--no-deps", "--no-build-isolation", toolkit],
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
    ]


def _only_wheel(folder: Path) -> Path:
    """The one wheel in the folder; which of several was meant would be a guess."""
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        sys.exit(
            f"error: {folder} holds {len(wheels)} wheels, expected one: {', '.join(path.name for path in wheels) or 'nothing'}"
        )
    return wheels[0]


def main() -> int:
    """Run them; the exit code of the first that fails."""
    given = (os.environ.get(f"INPUT_{name}", "") for name in ("REQUIREMENTS", "INSTALL", "WHEEL"))
    for command in commands(*given):
        sys.stdout.write(f"$ {shlex.join(command)}\n")
        sys.stdout.flush()
        code = subprocess.run(command, check=False).returncode
        if code:
            return code
    asked = [sys.executable, "-m", "ci_tools", "--version"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    sys.stdout.write(f"{version}\n")
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a", encoding="utf-8") as stream:
            stream.write(f"version={version.removeprefix('ci-tools ')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
