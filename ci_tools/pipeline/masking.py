"""Secrets taken out of what a run leaves behind: journals and logs are artifacts that anybody may download."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ci_tools.host.files import write_chunks
from ci_tools.pipeline.project import Project
from ci_tools.summary.masking import Mask
from ci_tools.summary.secrecy import secrets_of


def mask_of(project: Project) -> Mask:
    """What must not be shown: the values of environment variables that are secrets by their names."""
    return Mask(secrets_of(project.environ).values())


def mask_journals(folder: Path, mask: Mask) -> None:
    """Rewrite the journals and stacks in ``folder`` that hold a secret; test IDs stay as they are.

    Workers mask what they write: this is for the supervisor's journal, and for a worker that knew of no secret.
    """
    for path in sorted(folder.glob("journal-*")):
        # Whoever cannot be read is said to be so when the shard is read.
        with contextlib.suppress(OSError):
            if path.is_file() and any(new != old for old, new in _lines(path, mask)):
                write_chunks(path, (new for _, new in _lines(path, mask)))


def copy_masked(source: Path, target: Path, mask: Mask) -> None:
    """Copy a log line by line without its secrets; bytes that are no UTF-8 stay as they are."""
    with source.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        write_chunks(target, (mask.text(line).encode("utf-8", "surrogateescape") for line in stream))


def _lines(path: Path, mask: Mask) -> Iterator[tuple[bytes, bytes]]:
    """Each line as it is and as it may be shown."""
    with path.open("rb") as stream:
        for line in stream:
            text = line.decode("utf-8", "surrogateescape")
            body = text.removesuffix("\n")
            safe = mask.event_line(body)
            yield line, line if safe is body else (safe + text[len(body) :]).encode("utf-8", "surrogateescape")
