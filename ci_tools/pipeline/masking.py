"""Secrets taken out of what a run leaves behind: journals and logs are artifacts that anybody may download."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ci_tools.host.files import write_chunks
from ci_tools.pipeline.project import Project
from ci_tools.summary.masking import Mask

_WORDS = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY", "ACCESS_KEY", "CREDENTIAL")
_SHORTEST = 12
"""Characters of a secret; a shorter word, like "test" or "postgres", would blank half of every report."""
_SHORTEST_MIXED = 8
"""The same where it has letters, digits and both cases or a sign: no word of any report looks like that."""

_IDENTITIES = frozenset(
    {"event", "test_id", "test_ids", "missing", "unexpected", "markers", "imports", "fixtures", "shared", "path", "root"}
    | {"run_id", "worker", "shard", "configuration", "commit", "settings", "digest", "plan_digest"}
)
"""What the stages match by: with another test ID a test would be lost and another one unplanned."""


def mask_of(project: Project) -> Mask:
    """What must not be shown: the values of environment variables that are secrets by their names."""
    named = ((name.upper(), value) for name, value in project.environ.items())
    return Mask(value for name, value in named if any(word in name for word in _WORDS) and _is_long_enough(value))


def mask_journals(folder: Path, mask: Mask) -> None:
    """Rewrite the journals and stacks in ``folder`` that hold a secret; test IDs stay as they are."""
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
            masked = mask.text(text)
            if masked == text and b"\\" not in line:  # nearly every line: nothing in it, and nothing escaped
                yield line, line
                continue
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                yield line, masked.encode("utf-8", "surrogateescape")
                continue
            safe = _masked(event, mask)
            end = "\n" if line.endswith(b"\n") else ""
            yield line, line if safe == event else f"{json.dumps(safe, separators=(',', ':'))}{end}".encode("ascii")


def _masked(value: object, mask: Mask) -> object:
    if isinstance(value, str):
        return mask.text(value)
    if isinstance(value, list):
        return [_masked(item, mask) for item in value]
    if isinstance(value, dict):
        return {name: item if name in _IDENTITIES else _masked(item, mask) for name, item in value.items()}
    return value


def _is_long_enough(value: str) -> bool:
    is_mixed = any(map(str.isalpha, value)) and any(map(str.isdigit, value)) and not (value.isalnum() and value == value.lower())
    return len(value) >= (_SHORTEST_MIXED if is_mixed else _SHORTEST)
