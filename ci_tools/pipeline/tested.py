"""Which bytes a run tests: the wheels that are installed here, proved file by file, as facts of every shard."""

import hashlib
import importlib.metadata
import subprocess
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from ci_tools.errors import UsageError
from ci_tools.pipeline.evidence import BASELINE
from ci_tools.pipeline.project import Project
from ci_tools.policy.release import TESTED, UNCOMMITTED
from ci_tools.policy.wording import listed, plural

_REWRITTEN = ("RECORD", "RECORD.jws", "RECORD.p7s")
"""Files of ``*.dist-info`` that an installer writes anew."""

_GIT_TIMEOUT_S = 30.0


def tested_facts(wheels: Sequence[Path], project: Project) -> Mapping[str, str]:
    """``tested:<file name>`` → sha256 of each wheel; UsageError for one whose files are not those installed here.

    So the fact is no promise: a run against another build, or against an editable checkout, cannot vouch for a wheel. Files
    of the repository that are not as its commit has them are named too: tests that nobody committed vouch for nothing.
    """
    changed = _changed_files(project) if wheels else []
    uncommitted = {UNCOMMITTED: f"{plural(len(changed), 'file')}: {listed(changed, 3)}"} if changed else {}
    return {**{f"{TESTED}{path.name}": _proved(path) for path in wheels}, **uncommitted}


def _changed_files(project: Project) -> list[str]:
    """Tracked files that differ from the commit; none where there is no git, and then no commit vouches for anything.

    What earlier runs leave for later ones, from a cache perhaps, is no change.
    """
    kept = (f":(exclude){name}" for name in (BASELINE, project.config.timings) if name)
    git = ["git", "-C", str(project.root), "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no"]
    command = [*git, "--", ":/", *kept]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(entry[3:] for entry in done.stdout.split("\0") if entry) if done.returncode == 0 else []


def sha256_of(path: Path) -> str:
    """The file's sha256 in hex; UsageError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}", hint="give the file that was built") from error


def _proved(path: Path) -> str:
    digest = sha256_of(path)
    try:
        name, version, *_ = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as wheel:
            different = list(_differences(wheel, importlib.metadata.distribution(name)))
    except (InvalidWheelFilename, zipfile.BadZipFile) as error:
        raise UsageError(f"--tested {str(path)!r} is no wheel: {error}", hint="give the .whl that was installed") from error
    except importlib.metadata.PackageNotFoundError as error:
        what = f"--tested {path.name}: {name} is not installed here"
        raise UsageError(what, hint=f"install that file first: pip install --no-deps {path}") from error
    if different:
        what = f"--tested {path.name}: {len(different)} of its files are not those of {name} {version} installed here"
        hint = f"install that very file (not editable): pip install --force-reinstall --no-deps {path}"
        raise UsageError(what, details=[f"differs: {file}" for file in different[:3]], hint=hint)
    return digest


def _differences(wheel: zipfile.ZipFile, installed: importlib.metadata.Distribution) -> Iterator[str]:
    """The wheel's files that are not there byte for byte. Scripts and data are left out: they are rewritten and moved."""
    for member in wheel.infolist():
        folder, _, file = member.filename.partition("/")
        is_moved = folder.endswith(".data") or (folder.endswith(".dist-info") and file in _REWRITTEN)
        if member.is_dir() or is_moved:
            continue
        path = Path(str(installed.locate_file(member.filename)))
        if not path.is_file() or path.read_bytes() != wheel.read(member):
            yield member.filename
