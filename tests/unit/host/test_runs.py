"""Folders of runs: each run its own, the newest pointed at, the oldest finished ones removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci_tools.errors import UsageError
from ci_tools.host.runs import (
    create_private_folder,
    create_run_folder,
    finish_run_folder,
    new_run_id,
    prune_bare_runs,
    prune_runs,
    run_folder_name,
)


def _finished(artifacts: Path, name: str, *, at: float) -> Path:
    folder = create_run_folder(artifacts, name)
    (folder / "verdict.json").write_text("{}", encoding="utf-8")
    finish_run_folder(folder)
    os.utime(folder, (at, at))
    return folder


def test_two_runs_of_one_name_never_share_a_folder(tmp_path: Path) -> None:
    """The second run of a name gets a folder beside the first, and latest points at it."""
    first, second = create_run_folder(tmp_path, "run"), create_run_folder(tmp_path, "run")
    assert (first.name, second.name) == ("run", "run-2")
    assert (tmp_path / "latest").resolve() == second.resolve()


def test_attempts_and_shards_of_one_run_have_folders_of_their_own() -> None:
    """The shard is part of the name, and so is every attempt but the first."""
    names = [run_folder_name("github-77", slug, attempt) for slug in (None, "1-of-2", "2-of-2") for attempt in (1, 2)]
    assert names == [
        "github-77",
        "github-77-attempt-2",
        "github-77-shard-1-of-2",
        "github-77-shard-1-of-2-attempt-2",
        "github-77-shard-2-of-2",
        "github-77-shard-2-of-2-attempt-2",
    ]


def test_the_artifacts_ignore_themselves(tmp_path: Path) -> None:
    """Git sees nothing of the artifacts folder, whatever the project's own ignore file says."""
    create_run_folder(tmp_path / "ci-artifacts", "run")
    assert (tmp_path / "ci-artifacts" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_only_the_oldest_finished_runs_are_pruned(tmp_path: Path) -> None:
    """Running and unfinished runs stay, and so does whatever else lies there."""
    old, young = _finished(tmp_path, "old", at=1000), _finished(tmp_path, "young", at=2000)
    running = create_run_folder(tmp_path, "running")
    (running / "verdict.json").write_text("{}", encoding="utf-8")
    (tmp_path / "timings.json").write_text("{}", encoding="utf-8")
    assert prune_runs(tmp_path, keep=1) == (old,)
    assert [path.exists() for path in (old, young, running, tmp_path / "timings.json")] == [False, True, True, True]


def test_a_killed_run_does_not_stay_for_ever(tmp_path: Path) -> None:
    """The mark of a process that is gone does not keep its folder."""
    program = (
        "import sys; from pathlib import Path; from ci_tools.host.runs import *; create_run_folder(Path(sys.argv[1]), 'dead')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    dead = tmp_path / "dead"
    (dead / "verdict.json").write_text("{}", encoding="utf-8")
    _finished(tmp_path, "young", at=dead.stat().st_mtime + 10)
    assert prune_runs(tmp_path, keep=1) == (dead,)


def test_private_folders_of_killed_runs_go_when_they_are_old(tmp_path: Path) -> None:
    """Nobody else may look into one; a run that goes on keeps its own however old it is, and so does one of today."""
    environ = {"RUNNER_TEMP": str(tmp_path / "not-there-yet")}
    dead, living, fresh = (create_private_folder(environ) for _ in range(3))
    for folder in (dead, fresh):
        (folder / ".running").write_text("999999999", encoding="utf-8")
    for folder in (dead, living):
        os.utime(folder, (1000, 1000))
    new = create_private_folder(environ)
    assert [folder.exists() for folder in (dead, living, fresh, new)] == [False, True, True, True]
    if os.name == "posix":
        assert new.stat().st_mode & 0o777 == 0o700


def test_the_run_id_is_githubs_where_there_is_one() -> None:
    """All jobs of one GitHub run share the ID; a given one wins; a laptop makes its own each time."""
    github = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "42"}
    assert new_run_id(github) == "github-42"
    assert new_run_id({**github, "CI_TOOLS_RUN_ID": "mine"}) == "mine"
    assert new_run_id({}) != new_run_id({})


def test_bare_runs_are_pruned_apart(tmp_path: Path) -> None:
    """What bare pytest left goes when it is old; a killed run with a plan stays, for a gate may still judge it."""
    bare = [create_run_folder(tmp_path, f"bare-{number}") for number in range(3)]
    planned = create_run_folder(tmp_path, "planned")
    for number, folder in enumerate([*bare, planned]):
        (folder / "journal-1-of-1-main-1.jsonl").write_text("", encoding="utf-8")
        finish_run_folder(folder)
        os.utime(folder, (number, number))
    (planned / "plan.json").write_text("{}", encoding="utf-8")
    os.utime(planned, (0, 0))
    assert prune_bare_runs(tmp_path, keep=2) == (bare[0],)
    assert [path.exists() for path in (*bare, planned)] == [False, True, True, True]


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b"])
def test_a_run_id_that_is_no_folder_name_is_refused(name: str) -> None:
    """The given run ID cannot leave the artifacts folder."""
    with pytest.raises(UsageError, match="CI_TOOLS_RUN_ID"):
        new_run_id({"CI_TOOLS_RUN_ID": name})
