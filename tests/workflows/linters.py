"""Every linter of workflows as a command line: `nox -s lint` runs them on this repository, tests on planted faults.

Two linters, since they disagree at times; the security audit; the schemas; every action pinned. None needs a network.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
"""The linters lie beside the Python that runs this, from the lock."""

FOREIGN = {
    "azure-pipelines.yml": ("vendor.azure-pipelines", "--regex-variant", "python"),  # its patterns are .NET's
    "buildkite.yml": ("vendor.buildkite",),
    "circleci.yml": ("vendor.circle-ci",),
    "gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),  # for its tag !reference
}
"""The examples for other CI systems, each with the schema that its vendor gives out."""


def commands(root: Path) -> Iterator[list[str]]:
    """The command lines, to be run in ``root``; a file that is not there is not asked for."""
    yield ["jactionlint", "--profile", "pedantic", "--strict-exit", "--no-hints"]
    yield ["shellcheck", "--version"]  # without it actionlint leaves scripts alone, and says nothing
    yield ["actionlint", f"-shellcheck={BIN / 'shellcheck'}"]
    yield ["zizmor", "--offline", "--no-progress", "--persona=pedantic", ".github"]
    yield ["pinact", "run", "--fix=false", "--no-api"]
    for schema, pattern in (
        ("vendor.github-workflows", ".github/workflows/*.yml"),
        ("vendor.github-actions", ".github/actions/*/action.yml"),
        ("vendor.dependabot", ".github/dependabot.yml"),
    ):
        if files := sorted(root.glob(pattern)):
            yield ["check-jsonschema", "--builtin-schema", schema, *map(str, files)]
    for file in sorted(root.glob("docs/guide/ci/*")):
        yield ["check-jsonschema", "--builtin-schema", *FOREIGN[file.name], str(file)]


def lint(root: Path, *, only: str = "", timeout_s: float = 120) -> list[str]:
    """Names of the linters (all, or ``only`` this) that found something in ``root``; what they said goes to stdout."""
    found = []
    for program, *arguments in commands(root):
        if only not in {"", program}:
            continue
        done = subprocess.run(
            [BIN / program, *arguments],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=timeout_s,
        )
        sys.stdout.write(f"$ {program} {' '.join(arguments)}\n{done.stdout}")
        if done.returncode:
            found.append(program)
    return found


if __name__ == "__main__":
    sys.exit(f"red: {', '.join(red)}" if (red := lint(ROOT)) else 0)
