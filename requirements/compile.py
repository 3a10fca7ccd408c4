"""Compiles ``requirements/*.txt`` from pyproject.toml, or says which of them are stale (``--check``).

Each lock is universal (every system and Python that the project supports) and hashed. Its first line holds a digest
of what it was made from, so that staleness can be told without an index.
"""

import hashlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent / "pyproject.toml"
LOCKS = ("ci", "setup", "integration", "tests", "lint", "docs", "bench")
ALONE = {"ci"}
"""Locks without the project's own dependencies: nox makes environments, it does not run in one of them."""
_HEADER = "# inputs: sha256:"


def main() -> int:
    """Compile every lock, or check them; 1 when one is stale."""
    if "--check" in sys.argv[1:]:
        stale = [name for name in LOCKS if not _is_fresh(name)]
        for name in stale:
            sys.stderr.write(f"requirements/{name}.txt was not made from today's pyproject.toml; run `nox -s lock`\n")
        return 1 if stale else 0
    for name in LOCKS:
        _compile(name, upgrade="--upgrade" in sys.argv[1:])
    return 0


def _compile(name: str, *, upgrade: bool) -> None:
    path = FOLDER / f"{name}.txt"
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", "3.11"]
    command += ["--group", name, "--no-header", "--no-annotate", "--output-file", f"requirements/{path.name}"]
    if name not in ALONE:
        command += ["--all-extras", PROJECT.name]
    if upgrade:
        command.append("--upgrade")
    if path.exists():  # the header is ours; uv reads the pins below it to keep them
        path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    subprocess.run(command, cwd=PROJECT.parent, check=True)
    path.write_text(f"{_HEADER}{_digest(name)}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def _is_fresh(name: str) -> bool:
    path = FOLDER / f"{name}.txt"
    return path.is_file() and path.read_text(encoding="utf-8").startswith(f"{_HEADER}{_digest(name)}\n")


def _digest(name: str) -> str:
    data = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    project, groups = data["project"], data["dependency-groups"]
    inputs = [project["requires-python"], project["dependencies"], project["optional-dependencies"], _flatten(groups, name)]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _flatten(groups: dict[str, list[str | dict[str, str]]], name: str) -> list[str]:
    flat: list[str] = []
    for item in groups[name]:
        flat += _flatten(groups, item["include-group"]) if isinstance(item, dict) else [item]
    return flat


if __name__ == "__main__":
    sys.exit(main())
