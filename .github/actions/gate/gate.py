"""Turns the inputs of the action into one ``ci-tools gate``; its exit code is the step's."""

import os
import subprocess
import sys


def command(reports: str, plan: str, profile: str) -> list[str]:
    """The command line; inputs that were left empty are left out."""
    return [
        "ci-tools",
        "gate",
        *([reports] if reports else []),
        *(["--plan", plan] if plan else []),
        *(["--profile", profile] if profile else []),
        "--needs",
        "CI_NEEDS",
        "--output",
        "verdict",
    ]


if __name__ == "__main__":
    given = (os.environ.get(f"INPUT_{name}", "") for name in ("REPORTS", "PLAN", "PROFILE"))
    sys.exit(subprocess.run(command(*given), check=False).returncode)
