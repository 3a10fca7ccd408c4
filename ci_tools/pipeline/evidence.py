"""What a gate reads: folders of runs, single reports and JUnit files become shard reports, plans and inputs with digests."""

import fnmatch
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci_tools.errors import CIToolsError, DecodeError, ExitCode, UsageError
from ci_tools.model.codec import dumps, loads
from ci_tools.model.journal import WorkerStarted, parse_event
from ci_tools.model.plan import parse_plan
from ci_tools.model.policy import BASELINE_VERSION, Baseline
from ci_tools.model.report import REPORT_VERSION, ShardReport
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.verdict import HouseError, Input
from ci_tools.pipeline.plan import plan_family
from ci_tools.reports.ctrf import read_ctrf
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.journals import read_shard

BASELINE = "ci-baseline.json"
"""The baseline's file in the project, kept in the repository like a lock."""

_SHARDS, _PLANS, _JOURNALS, _JUNIT = "shard-*.json", "plan*.json", "journal-*.jsonl", "*.xml"
_OURS = (_SHARDS, _PLANS, _JOURNALS)
_MOST_BYTES = 1 << 30
"""A report of a million tests has half of it; what is read whole must not be without bound."""
_MOST_LINE = 1 << 20
_REMAKE_PLAN = "make the plan again: ci-tools plan"
_UPDATE = "ci-tools baseline update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was found. ``inputs`` has each file once, with its digest, its path relative to where the verdict goes.

    ``errors`` are inputs that are not there, or cannot be used at all: nothing passes with them.
    """

    reports: tuple[ShardReport, ...]
    plans: tuple[Plan, ...]
    inputs: tuple[Input, ...]
    baseline: Baseline | None = None
    errors: tuple[HouseError, ...] = ()


def gather(
    folders: Sequence[Path],
    *,
    junit: Sequence[Path] = (),
    plans: Sequence[Path] = (),
    baseline: Path | None = None,
    base: Path,
) -> Evidence:
    """Read every input and never raise for what is in one, or for one that is not there.

    What cannot be read whole of a report is said in it, and a plan that cannot be used leaves the evidence incomplete. A baseline
    that cannot be used, and a path that leads nowhere, are errors of whoever configured the gate. A folder's shard reports
    count; journals only where a shard was killed before it wrote one; JUnit files only in a folder without either.
    ``baseline`` is read where there is one. Inputs are named relative to ``base``; what lies in ``base`` itself, below a
    folder, is what an earlier gate wrote and no input.
    """
    found = _Found()
    for plan in plans:
        for path in plan_family(plan):
            found.add_plan(path)
    for folder in folders:
        if _is_folder(folder):
            found.add_folder(folder, base, has_plans=bool(plans))
        elif _is_file(folder):
            found.add_report(folder)
        else:
            found.refuse(f"{str(folder)!r} is not there", hint="give folders of runs; was the artifact downloaded?")
    for path in junit:
        if _is_file(path):
            found.add_report(path)
        else:
            found.refuse(f"JUnit file {str(path)!r} is not there", hint="give the files that pytest or another runner wrote")
    known = found.add_baseline(baseline) if baseline is not None else None
    distinct = {path.resolve(): path for path in found.paths}
    inputs = tuple(sorted((one for path in distinct.values() if (one := input_of(path, base))), key=lambda item: item.path))
    different = {dumps(plan): plan for plan in found.plans.values()}
    return Evidence(
        reports=tuple(found.reports),
        plans=tuple(different.values()),
        inputs=inputs,
        baseline=known,
        errors=tuple(found.errors),
    )


def gather_again(paths: Sequence[Path], *, base: Path) -> Evidence:
    """The evidence of a verdict from the files that it names."""
    roles = {path: role_of(path) for path in paths}

    def of(role: str) -> list[Path]:
        return [path for path in paths if roles[path] == role]

    journals = {path.parent for path in of("journal")}
    folders = [*of("shard"), *of("ctrf"), *sorted(journals)]
    baseline = next(iter(of("baseline")), None)
    return gather(folders, junit=of("junit"), plans=of("plan"), baseline=baseline, base=base)


def junit_files(inputs: Sequence[Path], *, base: Path) -> tuple[Path, ...]:
    """Every JUnit file of inputs that are JUnit files and folders of nothing else; empty when anything of ours is among them."""
    found: list[Path] = []
    for path in inputs:
        if path.is_file() and path.suffix == ".xml":
            found.append(path)
            continue
        listing = _list(path, base)
        files = listing.files(_JUNIT)
        if not files or listing.odd or any(listing.files(pattern) for pattern in _OURS):
            return ()
        found += files
    return tuple(found)


@dataclass(slots=True)
class _Found:
    """What has been read so far."""

    reports: list[ShardReport] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    paths: list[Path] = field(default_factory=list)
    errors: list[HouseError] = field(default_factory=list)

    def refuse(self, what: str, *, hint: str, code: ExitCode = ExitCode.USAGE) -> None:
        """Note what keeps anything from passing."""
        self.errors.append(HouseError(exit_code=int(code), what=f"{what}\n  hint: {hint}"))

    def add_plan(self, path: Path) -> None:
        """Read a plan; its bytes are an input whatever they are."""
        self.paths.append(path)
        try:
            self.plans[str(path)] = parse_plan(_bytes_of(path), where=str(path))
        except CIToolsError as error:
            # Another job sent it, as it did the reports; only a name that leads nowhere is the caller's mistake.
            code = ExitCode.INCOMPLETE if os.path.lexists(path) else ExitCode.USAGE
            self.refuse(error.what, hint=error.hint or _REMAKE_PLAN, code=code)

    def add_baseline(self, path: Path) -> Baseline | None:
        """Read the baseline; None where there is none, and where it cannot be read, which must not pass unseen."""
        if not os.path.lexists(path):
            return None
        self.paths.append(path)
        try:
            baseline = loads(Baseline, _bytes_of(path), where=str(path))
        except CIToolsError as error:
            self.refuse(error.what, hint=f"restore it from the default branch, or make it again: {_UPDATE}")
            return None
        if baseline.version != BASELINE_VERSION:
            what = f"{path} is a baseline of version {baseline.version}, expected {BASELINE_VERSION}"
            self.refuse(what, hint=f"make it again with this version of ci-tools: {_UPDATE}")
            return None
        return baseline

    def add_report(self, path: Path) -> None:
        """Read one file, which may be a report of anybody."""
        self.reports.append(_read_file(path))
        self.paths.append(path)

    def add_folder(self, folder: Path, base: Path, *, has_plans: bool) -> None:
        """Read a run's folder; its plan only where none was given."""
        listing = _list(folder, base)
        for what in listing.odd:
            self.refuse(what, hint="download the artifact again into an empty folder", code=ExitCode.INCOMPLETE)
        plans = listing.files(_PLANS)
        for path in () if has_plans else plans:
            self.add_plan(path)
        read, used = _read_folder(listing, tuple(self.plans.values()))
        if not (read or used or plans):
            what = f"folder {folder.name!r} holds no report, journal or JUnit file"
            self.refuse(what, hint="give the folder that `ci-tools run` or another runner wrote", code=ExitCode.INCOMPLETE)
        self.reports += read
        self.paths += used


@dataclass(frozen=True, slots=True)
class _Listing:
    """A folder's files, but for those of the gate's own output below it; ``odd`` is what cannot be looked at."""

    paths: tuple[Path, ...]
    odd: tuple[str, ...] = ()

    def files(self, pattern: str) -> list[Path]:
        return [path for path in self.paths if fnmatch.fnmatchcase(path.name, pattern)]


def _list(folder: Path, output: Path) -> _Listing:
    inner = output.resolve()
    is_inside = inner != folder.resolve() and inner.is_relative_to(folder.resolve())
    paths: list[Path] = []
    odd: list[str] = []

    def note(error: OSError) -> None:
        odd.append(f"folder {str(error.filename)!r} cannot be looked into: {error.strerror}")

    for place, folders, names in os.walk(folder, onerror=note):
        here = Path(place)
        if is_inside and here.resolve().is_relative_to(inner):
            folders.clear()
            continue
        paths += [here / name for name in names if _is_file(here / name)]
        ours = [here / name for name in (*folders, *names) if any(fnmatch.fnmatchcase(name, kind) for kind in _OURS)]
        odd += [f"{str(path)!r} is no file, expected one by its name" for path in ours if not _is_file(path)]
    return _Listing(tuple(sorted(paths)), tuple(sorted(odd)))


def _is_file(path: Path) -> bool:
    """False also for what nobody may look at."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _bytes_of(path: Path) -> bytes:
    """The file's bytes; DecodeError when it is none, cannot be read, or is larger than anything of ours."""
    try:
        if not path.is_file():
            there = "is no file" if os.path.lexists(path) else "is not there"
            raise DecodeError(f"{path} {there}, expected a file")
        if path.stat().st_size > _MOST_BYTES:
            raise DecodeError(f"{path} is {path.stat().st_size} bytes, at most {_MOST_BYTES} are read")
        return path.read_bytes()
    except OSError as error:
        raise DecodeError(f"{path} cannot be read: {error.strerror}", hint="check the file's permissions") from error


def _read_folder(listing: _Listing, plans: tuple[Plan, ...]) -> tuple[list[ShardReport], list[Path]]:
    shards = listing.files(_SHARDS)
    reports = [_load_shard(path) for path in shards]
    told = {(report.configuration, report.shard, report.run_attempt) for report in reports}
    journals = listing.files(_JOURNALS)
    keys = {path: _key_of(path) for path in journals}
    killed = {key: path for path, key in keys.items() if key is not None and key[:3] not in told}
    reports += [_read_journals(key, path, plans) for key, path in killed.items()]
    # Journals of which nobody can say whose they are: beside others of a shard they are read with those.
    legible = {path.parent for path, key in keys.items() if key is not None}
    silent = [] if shards else [path for path in journals if path.parent not in legible]
    reports += [_illegible(path, "does not begin with the start of a worker: whose it is nobody knows") for path in silent]
    if reports:
        return reports, [*shards, *(journals if killed or silent else ())]
    if listing.files(_PLANS):
        return [], []  # a run of ours that was planned to be empty, or killed before its first test: the plan knows which
    files = listing.files(_JUNIT)
    return [read_junit(path) for path in files], files


def _read_journals(key: tuple[str, str, int, str], path: Path, plans: tuple[Plan, ...]) -> ShardReport:
    configuration, shard, attempt, run_id = key
    plan = next((plan for plan in plans if plan.configuration == configuration), None)
    try:
        ref = ShardRef.parse(shard)
        expected = plan.shard(ref).test_ids if plan is not None else None
    except UsageError as error:
        return _illegible(path, f"is not of this run: {error.what}")
    return read_shard(
        path.parent,
        run_id=run_id,
        shard=ref,
        expected=expected,
        run_attempt=attempt,
        configuration=configuration,
        plan_digest=plan.expected_digest if plan is not None else "",
    )


def _illegible(path: Path, reason: str) -> ShardReport:
    return ShardReport(run_id="", shard=f"file:{path.name}", cases=(), corrupt=(f"{path.name} {reason}",))


def _read_file(path: Path) -> ShardReport:
    """A single report: JUnit, a shard report of ours, or CTRF. What it holds decides, not what it is called."""
    try:
        with path.open("rb") as stream:
            head = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError:
        head = b""  # its reader says so
    is_json = head.startswith((b"{", b"["))
    if path.suffix == ".xml" or not is_json:
        return read_junit(path)
    return _load_shard(path) if path.name.startswith("shard-") else read_ctrf(path)


def _key_of(journal: Path) -> tuple[str, str, int, str] | None:
    """Configuration, shard, attempt and run of a journal, by its first line."""
    try:
        with journal.open("rb") as stream:
            line = stream.readline(_MOST_LINE)
        start = parse_event(line, where=journal.name)
    except (OSError, DecodeError, RecursionError):
        return None
    if not isinstance(start, WorkerStarted):
        return None
    return start.configuration, start.shard, start.run_attempt, start.run_id


def _load_shard(path: Path) -> ShardReport:
    try:
        data = _bytes_of(path)
        report = loads(ShardReport, data, where=path.name)
    except CIToolsError as error:
        return ShardReport(run_id="", shard=f"file:{path.stem}", cases=(), corrupt=(error.what,), source=str(path))
    report = replace(report, source=str(path), digest=hashlib.sha256(data).hexdigest())
    if report.version != REPORT_VERSION:
        what = f"{path.name} is a report of version {report.version}, expected {REPORT_VERSION}"
        return replace(report, corrupt=(*report.corrupt, what))
    return report


def input_of(path: Path, base: Path) -> Input | None:
    """The file as a verdict names it: digest, size and its path relative to ``base``; None when it has no bytes to be read."""
    if not _is_file(path):  # to open a pipe would wait for ever
        return None
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            size = stream.tell()
    except OSError:
        return None
    return Input(path=_relative(path, base), sha256=sha256, size=size, role=role_of(path))


def _relative(path: Path, base: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix()
    except ValueError:  # another drive on Windows
        return str(path)


def role_of(path: Path) -> str:
    """What an input is to a verdict, by its name."""
    if path.suffix == ".jsonl":
        return "journal"
    if path.suffix == ".xml":
        return "junit"
    roles = ("plan", "baseline", "needs", "shard")
    return next((role for role in roles if path.stem.startswith((role, f"ci-{role}"))), "ctrf")
