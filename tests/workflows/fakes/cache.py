"""A cache as a folder: entries by key and by the exact text of the path, written once, the newest one by prefix.

As the service does, a branch reads its own entries and then those of the default branch, and writes only its own.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

REF = os.environ["GITHUB_REF"]
EVENT = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
DEFAULT = f"refs/heads/{EVENT.get('repository', {}).get('default_branch', '')}"
STORE = Path(os.environ["FAKE_CACHE"])
PATH = os.environ["INPUT_PATH"]
KEY = os.environ["INPUT_KEY"]
VERSION = hashlib.sha256(PATH.encode()).hexdigest()[:8]
"""The service takes the text of the path into the key: saved under one spelling, restored under another is a miss."""


def scope(ref: str) -> Path:
    """Where the entries of a branch lie."""
    return STORE / ref.replace("/", "-")


def restore() -> None:
    """Bring back the entry of this key, else the newest of each prefix in turn; a miss is no error."""
    prefixes = (f"{KEY}@", *filter(None, map(str.strip, os.environ.get("INPUT_RESTORE_KEYS", "").splitlines())))
    for folder in dict.fromkeys((scope(REF), scope(DEFAULT))):
        entries = sorted(folder.glob(f"*@{VERSION}"), key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in (entry for prefix in prefixes for entry in entries if entry.name.startswith(prefix)):
            Path(PATH).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(entry, PATH)
            sys.stdout.write(f"Cache restored from key: {entry.name}\n")
            return
    sys.stdout.write(f"Cache not found for input keys: {KEY}\n")


def save() -> None:
    """Keep the file; refuse a key that exists, and a path where nothing is, each with a warning."""
    target = scope(REF) / f"{KEY}@{VERSION}"
    if target.exists():
        sys.stdout.write(
            f"::warning::Failed to save: Unable to reserve cache with key {KEY}, another job may be creating this cache.\n"
        )
    elif not Path(PATH).exists():
        sys.stdout.write("::warning::Path Validation Error: Path(s) specified in the action for caching do(es) not exist\n")
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PATH, target)


if __name__ == "__main__":
    {"restore": restore, "save": save}[sys.argv[1]]()
