"""GitHub Actions: what it tells a job by environment, and the files and lines by which a job answers.

Only writes; escaping is ``ci_tools.summary.escape``'s.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ci_tools.errors import UsageError

SUMMARY_LIMIT_BYTES = 1_000_000
"""GitHub drops a step's summary whole above 1 048 576 bytes; the rest is room for what others append."""

_DELIMITER_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubContext:
    """The run a job belongs to. ``run_attempt`` counts "re-run failed jobs" from 1; ``sha`` is the commit that is tested."""

    sha: str = ""
    run_id: str = ""
    run_attempt: int = 1
    repository: str = ""
    server_url: str = "https://github.com"
    event: str = ""
    ref: str = ""
    workflow: str = ""
    job: str = ""
    actor: str = ""
    event_path: str = ""
    workspace: str = ""

    @property
    def run_url(self) -> str:
        """The page of this attempt; empty when repository or run are unknown."""
        if not self.repository or not self.run_id:
            return ""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}/attempts/{self.run_attempt}"


def is_github(environ: Mapping[str, str]) -> bool:
    """Whether this is a job of GitHub Actions (or of what speaks its language)."""
    return environ.get("GITHUB_ACTIONS") == "true"


def context(environ: Mapping[str, str]) -> GitHubContext:
    """The run as values. What is not set is empty; an attempt that is no number counts as the first."""
    attempt = environ.get("GITHUB_RUN_ATTEMPT", "")
    return GitHubContext(
        sha=environ.get("GITHUB_SHA", ""),
        run_id=environ.get("GITHUB_RUN_ID", ""),
        run_attempt=max(1, int(attempt)) if attempt.isascii() and attempt.isdigit() else 1,
        repository=environ.get("GITHUB_REPOSITORY", ""),
        server_url=environ.get("GITHUB_SERVER_URL", "") or "https://github.com",
        event=environ.get("GITHUB_EVENT_NAME", ""),
        ref=environ.get("GITHUB_REF", ""),
        workflow=environ.get("GITHUB_WORKFLOW", ""),
        job=environ.get("GITHUB_JOB", ""),
        actor=environ.get("GITHUB_ACTOR", ""),
        event_path=environ.get("GITHUB_EVENT_PATH", ""),
        workspace=environ.get("GITHUB_WORKSPACE", ""),
    )


def summary_room(environ: Mapping[str, str]) -> int:
    """Bytes that this step's summary may still take; 0 when there is no summary file or no room."""
    path = environ.get("GITHUB_STEP_SUMMARY", "")
    if not path:
        return 0
    used = Path(path).stat().st_size if Path(path).exists() else 0
    return max(0, SUMMARY_LIMIT_BYTES - used)


def append_summary(environ: Mapping[str, str], markdown: str) -> bool:
    """Append to the step's summary; False when there is no summary file. Render it to ``summary_room`` bytes before."""
    return _append(environ, "GITHUB_STEP_SUMMARY", markdown if markdown.endswith("\n") else f"{markdown}\n")


def set_outputs(environ: Mapping[str, str], outputs: Mapping[str, str]) -> bool:
    """Set the step's outputs; False when there is no output file. UsageError for a name that would break the file."""
    return _append(environ, "GITHUB_OUTPUT", assignments(outputs))


def set_environment(environ: Mapping[str, str], variables: Mapping[str, str]) -> bool:
    """Set environment variables of the job's later steps; False when there is no file for it. UsageError as ``set_outputs``."""
    return _append(environ, "GITHUB_ENV", assignments(variables))


def assignments(values: Mapping[str, str]) -> str:
    """Lines for the files of outputs and variables, whatever the values hold. UsageError for a name that would break a file."""
    lines = []
    for name, value in values.items():
        if not name or any(character in name for character in "=<\r\n\0"):
            what = f"{name!r} cannot name an output or a variable of GitHub Actions"
            raise UsageError(what, hint="use letters, digits, - and _")
        delimiter = f"ci_tools_{secrets.token_hex(_DELIMITER_BYTES)}"
        lines.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    return "".join(lines)


def write_annotations(stream: TextIO, annotations: Sequence[str]) -> None:
    """Write workflow commands that are already escaped, one a line. UsageError for one that is more than a line."""
    for annotation in annotations:
        if "\n" in annotation or "\r" in annotation or not annotation.startswith("::"):
            what = f"annotation {annotation[:80]!r} is no workflow command on one line"
            raise UsageError(what, hint="make it with ci_tools.summary.annotations")
    stream.write("".join(f"{annotation}\n" for annotation in annotations))
    stream.flush()


def add_masks(stream: TextIO, values: Sequence[str]) -> None:
    """Let the runner blank these values in the log: each line of each, escaped; empty ones would blank everything."""
    lines = {line for value in values for line in value.splitlines() if line.strip()}
    for line in sorted(lines):
        escaped = line.replace("%", "%25")
        stream.write(f"::add-mask::{escaped}\n")
    stream.flush()


@contextmanager
def commands_stopped(stream: TextIO, environ: Mapping[str, str]) -> Iterator[None]:
    """Between enter and exit the runner takes nothing that is written for a command: print untrusted text only there.

    The token is random, so that the text cannot end it. Outside GitHub nothing is written.
    """
    if not is_github(environ):
        yield
        return
    token = secrets.token_hex(_DELIMITER_BYTES)
    stream.write(f"::stop-commands::{token}\n")
    stream.flush()
    try:
        yield
    finally:
        # The newline first: untrusted text may have left the line open, and a command counts at a line's start only.
        stream.write(f"\n::{token}::\n")
        stream.flush()


@contextmanager
def group(stream: TextIO, environ: Mapping[str, str], title: str) -> Iterator[None]:
    """Fold what is written in between under ``title`` (ours, one line); outside GitHub the title is a plain line."""
    inside = is_github(environ)
    stream.write(f"::group::{title}\n" if inside else f"{title}\n")
    try:
        yield
    finally:
        if inside:
            stream.write("::endgroup::\n")
        stream.flush()


def _append(environ: Mapping[str, str], variable: str, text: str) -> bool:
    path = environ.get(variable, "")
    if not path:
        return False
    with Path(path).open("ab") as stream:
        stream.write(text.encode("utf-8", "backslashreplace"))
    return True
