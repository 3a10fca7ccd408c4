"""Folders of runs: each run has its own under the artifacts folder, ``latest`` points at the newest."""

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ci_tools.errors import UsageError

_MARK = ".running"
"""In a folder while its run goes on, holding the process ID: such a folder is never pruned."""
_PRIVATE = "ci-tools-run"
_OLD_S = 2 * 86_400.0
"""In a container that shares its folder of temporary files, the process of a run may be one that we can't see."""


def is_given_run_id(environ: Mapping[str, str]) -> bool:
    """Whether the run's ID comes from outside and is shared by all jobs of the run."""
    return bool(environ.get("CI_TOOLS_RUN_ID")) or environ.get("GITHUB_ACTIONS") == "true"


def new_run_id(environ: Mapping[str, str]) -> str:
    """The ID of this run: ``CI_TOOLS_RUN_ID``, else GitHub's run ID (shared by all jobs of a run), else one of our own."""
    given = environ.get("CI_TOOLS_RUN_ID", "")
    if given:
        if not all(letter.isalnum() or letter in "-_." for letter in given) or given.startswith("."):
            what = f"CI_TOOLS_RUN_ID is {given!r}, expected letters, digits, '-', '_' and '.'"
            raise UsageError(what, hint="it becomes the name of a folder")
        return given
    if environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITHUB_RUN_ID", "").isdigit():
        return f"github-{environ['GITHUB_RUN_ID']}"
    return f"{datetime.now(tz=UTC):%Y%m%d-%H%M%S}-{os.getpid()}-{secrets.token_hex(2)}"


def run_folder_name(run_id: str, shard_slug: str | None, attempt: int) -> str:
    """The folder of one attempt (from 1) of a shard: downloaded side by side, no attempt's files lie on another's."""
    name = run_id if shard_slug is None else f"{run_id}-shard-{shard_slug}"
    return name if attempt == 1 else f"{name}-attempt-{attempt}"


def prepare_artifacts(artifacts: Path) -> None:
    """The artifacts folder, of which git sees nothing, whatever the project's own ignore file says."""
    artifacts.mkdir(parents=True, exist_ok=True)
    ignore = artifacts / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def create_run_folder(artifacts: Path, name: str) -> Path:
    """A new empty folder ``artifacts/name`` (``name-2``, … where that exists), with ``latest`` pointing at it."""
    prepare_artifacts(artifacts)
    for number in range(1, 10_000):
        folder = artifacts / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        (folder / _MARK).write_text(str(os.getpid()), encoding="utf-8")
        _point_latest(artifacts, folder.name)
        return folder
    what = f"{artifacts / name} exists 9,999 times"
    raise UsageError(what, hint="empty the artifacts folder")


def create_private_folder(environ: Mapping[str, str]) -> Path:
    """A new folder that only this account may enter, outside of all that is uploaded: a killed run leaves it behind.

    What runs that were killed days ago left is removed. Made with ``mkdir``: on Windows what ``tempfile.mkdtemp`` makes
    belongs to Administrators only.
    """
    parent = Path(environ.get("RUNNER_TEMP") or tempfile.gettempdir())
    for old in parent.glob(f"{_PRIVATE}-*"):
        with contextlib.suppress(OSError):
            if time.time() - old.lstat().st_mtime > _OLD_S and not _is_running(old / _MARK):
                shutil.rmtree(old, ignore_errors=True)
    folder = parent / f"{_PRIVATE}-{secrets.token_hex(8)}"
    folder.mkdir(mode=0o700, parents=True)
    (folder / _MARK).write_text(str(os.getpid()), encoding="utf-8")
    return folder


def finish_run_folder(folder: Path) -> None:
    """Say that the run of this folder is over."""
    (folder / _MARK).unlink(missing_ok=True)


def prune_runs(artifacts: Path, *, keep: int) -> tuple[Path, ...]:
    """Remove the oldest finished folders of runs but ``keep`` of them; 0 keeps all. Nothing else there is touched."""
    return _prune([folder for folder in _folders(artifacts) if (folder / "verdict.json").is_file()], keep)


def prune_bare_runs(artifacts: Path, *, keep: int) -> tuple[Path, ...]:
    """The same for what bare pytest leaves: folders with a journal that nobody planned and nobody judged."""
    judged = ("verdict.json", "plan.json")
    bare = [folder for folder in _folders(artifacts) if not any((folder / name).exists() for name in judged)]
    return _prune([folder for folder in bare if any(folder.glob("journal-*.jsonl"))], keep)


def _folders(artifacts: Path) -> list[Path]:
    return [folder for folder in artifacts.iterdir() if folder.is_dir() and not folder.is_symlink()]


def _prune(runs: list[Path], keep: int) -> tuple[Path, ...]:
    if keep == 0 or len(runs) <= keep:
        return ()
    finished = [folder for folder in runs if not _is_running(folder / _MARK)]
    finished.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in finished[keep:]:
        shutil.rmtree(folder, ignore_errors=True)
    return tuple(finished[keep:])


def _is_running(mark: Path) -> bool:
    """Whether the process that made the mark is still there: a killed run leaves its mark behind."""
    import psutil  # noqa: PLC0415 - pruning alone needs it, and every bare pytest with the plugin comes past this module

    try:
        return psutil.pid_exists(int(mark.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return mark.exists()


def _point_latest(artifacts: Path, name: str) -> None:
    latest = artifacts / "latest"
    fresh = artifacts / f".latest-{os.getpid()}-{secrets.token_hex(2)}"
    try:
        fresh.symlink_to(name, target_is_directory=True)
        fresh.replace(latest)
    except OSError:
        # Windows without the right to make links (or a folder of that name): a text file says it.
        fresh.unlink(missing_ok=True)
        (artifacts / "latest.txt").write_text(f"{name}\n", encoding="utf-8")
