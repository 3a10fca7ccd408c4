"""Artifacts of a run as folders, with the strictness of the real service: names, 409 on a duplicate, nothing found.

``FAKE_ARTIFACTS`` is the folder, ``FAKE_DROP`` a pattern of names that get lost on the way without a word.
"""

import fnmatch
import glob
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

STORE = Path(os.environ["FAKE_ARTIFACTS"])
FORBIDDEN = re.compile(r'[":<>|*?\r\n\\/]')


def fail(message: str) -> None:
    """End the step the way the real actions do."""
    sys.exit(f"::error::{message}")


def upload() -> None:
    """Put the files down under the name; refuse what the service refuses."""
    name = os.environ["INPUT_NAME"]
    if not name or FORBIDDEN.search(name):
        fail(f"The artifact name is not valid: {name!r}")
    files, root = _found(os.environ["INPUT_PATH"].splitlines())
    if not files:
        none = os.environ["INPUT_NONE"]
        message = f"No files were found with the provided path: {os.environ['INPUT_PATH']}. No artifacts will be uploaded."
        if none == "error":
            fail(message)
        sys.stdout.write(message + "\n")
        return
    if fnmatch.fnmatch(name, os.environ.get("FAKE_DROP", "")):
        sys.stdout.write(f"lost on the way: {name}" + "\n")
        return
    target = STORE / name
    STORE.mkdir(parents=True, exist_ok=True)
    if os.environ["INPUT_OVERWRITE"] == "true":
        shutil.rmtree(target, ignore_errors=True)
    try:
        target.mkdir()
    except FileExistsError:
        fail("Failed to CreateArtifact: Received non-retryable error: (409) Conflict: an artifact with this name already exists")
    for file in files:
        to = target / file.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(file.read_bytes())
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as stream:
        stream.write(f"artifact-digest={hasher.hexdigest()}\n")


def download() -> None:
    """Fetch one artifact into the folder, or each that fits the pattern into a folder of its own; none that fits is no error."""
    path, name, pattern = Path(os.environ["INPUT_PATH"]), os.environ["INPUT_NAME"], os.environ["INPUT_PATTERN"]
    stored = sorted(entry.name for entry in STORE.iterdir()) if STORE.is_dir() else []
    if name:
        if name not in stored:
            fail(f"Unable to download artifact(s): Artifact not found for name: {name}")
        shutil.copytree(STORE / name, path, dirs_exist_ok=True)
        return
    fitting = [entry for entry in stored if not pattern or fnmatch.fnmatch(entry, pattern)]
    path.mkdir(parents=True, exist_ok=True)
    for entry in fitting:
        shutil.copytree(STORE / entry, path if os.environ["INPUT_MERGE"] == "true" else path / entry, dirs_exist_ok=True)
    sys.stdout.write(f"Total of {len(fitting)} artifact(s) downloaded" + "\n")


def _found(patterns: list[str]) -> tuple[list[Path], Path]:
    """The files below every path, hidden ones only if asked for, and the folder their names start from."""
    wanted: list[Path] = []
    roots: list[Path] = []
    for pattern in filter(None, map(str.strip, patterns)):
        for match in map(Path, glob.glob(pattern)):  # noqa: PTH207 - absolute and relative patterns alike
            wanted += [match] if match.is_file() else [file for file in match.rglob("*") if file.is_file()]
        fixed = [part for part in Path(pattern).parts if not set(part) & set("*?[")]
        root = Path(*fixed[: len(fixed)])
        roots.append(root if "*" in pattern or root.is_dir() else root.parent)
    hidden = os.environ["INPUT_HIDDEN"] == "true"
    root = Path(os.path.commonpath([str(root) for root in roots]))
    kept = [file for file in wanted if hidden or not any(part.startswith(".") for part in file.relative_to(root).parts)]
    return sorted(set(kept)), root


if __name__ == "__main__":
    {"upload": upload, "download": download}[sys.argv[1]]()
