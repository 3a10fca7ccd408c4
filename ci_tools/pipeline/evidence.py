"""What a gate reads: folders of runs, single reports and JUnit files become shard reports, plans and inputs with digests."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.errors import CIToolsError, DecodeError, ExitCode, UsageError
from ci_tools.model.codec import dumps, loads
from ci_tools.model.journal import WorkerStarted, parse_event
from ci_tools.model.plan import parse_plan
from ci_tools.model.policy import Baseline
from ci_tools.model.report import ShardReport
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.verdict import HouseError, Input
from ci_tools.pipeline.plan import plan_family
from ci_tools.reports.ctrf import read_ctrf
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.journals import read_shard

BASELINE = "ci-baseline.json"
"""The baseline's file in the project, kept in the repository like a lock."""

_SHARDS, _PLANS, _JOURNALS, _JUNIT = "shard-*.json", "plan*.json", "journal-*.jsonl", "*.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was found. ``inputs`` has each file once, with its digest, its path relative to where the verdict goes.

    ``errors`` are folders without anything in them: no file bears witness to those.
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
    """Read every input. UsageError for a path that is not there; what cannot be read whole is a corrupt report.

    A folder's shard reports count; journals only where a shard was killed before it wrote one; JUnit files only in a folder
    without either. ``baseline`` is read where it is there. Inputs are named relative to ``base``; what lies in ``base`` itself,
    below a folder, is what an earlier gate wrote and no input.
    """
    paths = [member for path in plans for member in plan_family(path)]
    found_plans = {str(path): _load_plan(path) for path in paths}
    reports: list[ShardReport] = []
    errors: list[HouseError] = []
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"{str(folder)!r} is not there", hint="give folders of runs; was the artifact downloaded?")
        if folder.is_file():
            reports.append(_read_file(folder))
            paths.append(folder)
            continue
        listing = _Listing(folder, base)
        if not plans:
            for path in listing.files(_PLANS):
                found_plans[str(path)] = _load_plan(path)
                paths.append(path)
        read, used = _read_folder(listing, tuple(found_plans.values()))
        if not (read or used or listing.files(_PLANS)):
            what = f"folder {folder.name!r} holds no report, journal or JUnit file"
            errors.append(HouseError(exit_code=int(ExitCode.INCOMPLETE), what=what))
        reports += read
        paths += used
    for path in junit:
        if not path.is_file():
            raise UsageError(f"JUnit file {str(path)!r} is not there", hint="give the files that pytest or another runner wrote")
        reports.append(_read_file(path))
        paths.append(path)
    known = load_baseline(baseline) if baseline is not None else None
    if known is not None and baseline is not None:
        paths.append(baseline)
    distinct = {path.resolve(): path for path in paths}
    inputs = tuple(sorted((input_of(path, base) for path in distinct.values()), key=lambda item: item.path))
    different = {dumps(plan): plan for plan in found_plans.values()}
    plans_ = tuple(different.values())
    return Evidence(reports=tuple(reports), plans=plans_, inputs=inputs, baseline=known, errors=tuple(errors))


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
        listing = _Listing(path, base)
        files = listing.files(_JUNIT)
        if not files or any(listing.files(pattern) for pattern in (_SHARDS, _PLANS, _JOURNALS)):
            return ()
        found += files
    return tuple(found)


def load_baseline(path: Path) -> Baseline | None:
    """The baseline in ``path``; None when there is none. DecodeError when it cannot be read: it must not vanish unseen."""
    try:
        return loads(Baseline, path.read_bytes(), where=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DecodeError(f"{path} cannot be read: {error.strerror}", hint="check the file's permissions") from error


@dataclass(frozen=True, slots=True)
class _Listing:
    """A folder's files, but for those of the gate's own output below it."""

    folder: Path
    output: Path

    def files(self, pattern: str) -> list[Path]:
        inner = self.output.resolve()
        is_inside = inner != self.folder.resolve() and inner.is_relative_to(self.folder.resolve())
        found = sorted(path for path in self.folder.rglob(pattern) if path.is_file())
        return [path for path in found if not (is_inside and path.resolve().is_relative_to(inner))]


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
    with path.open("rb") as stream:
        head = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    is_json = head.startswith((b"{", b"["))
    if path.suffix == ".xml" or not is_json:
        return read_junit(path)
    return _load_shard(path) if path.name.startswith("shard-") else read_ctrf(path)


def _key_of(journal: Path) -> tuple[str, str, int, str] | None:
    """Configuration, shard, attempt and run of a journal, by its first line."""
    with journal.open("rb") as stream:
        line = stream.readline()
    try:
        start = parse_event(line, where=journal.name)
    except (DecodeError, RecursionError):
        return None
    if not isinstance(start, WorkerStarted):
        return None
    return start.configuration, start.shard, start.run_attempt, start.run_id


def _load_shard(path: Path) -> ShardReport:
    data = path.read_bytes()
    try:
        report = loads(ShardReport, data, where=path.name)
    except CIToolsError as error:
        return ShardReport(run_id="", shard=f"file:{path.stem}", cases=(), corrupt=(error.what,), source=str(path))
    return replace(report, source=str(path), digest=hashlib.sha256(data).hexdigest())


def _load_plan(path: Path) -> Plan:
    try:
        return parse_plan(path.read_bytes(), where=str(path))
    except OSError as error:
        raise UsageError(f"plan {str(path)!r} cannot be read: {error.strerror}", hint="make it: ci-tools plan") from error


def input_of(path: Path, base: Path) -> Input:
    """The file as a verdict names it: digest, size and its path relative to ``base``."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    return Input(path=_relative(path, base), sha256=hasher.hexdigest(), size=path.stat().st_size, role=role_of(path))


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
