"""What a gate reads: folders of runs, single reports and JUnit files become shard reports, plans and inputs with digests."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.errors import CIToolsError, DecodeError, UsageError
from ci_tools.model.codec import dumps, loads
from ci_tools.model.journal import WorkerStarted, parse_event
from ci_tools.model.policy import Baseline
from ci_tools.model.report import ShardReport
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.verdict import Input
from ci_tools.pipeline.plan import plan_family
from ci_tools.reports.ctrf import read_ctrf
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.journals import read_shard

BASELINE = "ci-baseline.json"
"""The baseline's file in the project, kept in the repository like a lock."""

_SHARDS, _PLANS, _JOURNALS, _JUNIT = "shard-*.json", "plan*.json", "journal-*.jsonl", "*.xml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that was found. ``inputs`` has each file once, with its digest, its path relative to where the verdict goes."""

    reports: tuple[ShardReport, ...]
    plans: tuple[Plan, ...]
    inputs: tuple[Input, ...]
    baseline: Baseline | None = None


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
    without either. ``baseline`` is read where it is there. Inputs are named relative to ``base``.
    """
    paths = [member for path in plans for member in plan_family(path)]
    found_plans = {str(path): _load_plan(path) for path in paths}
    reports: list[ShardReport] = []
    for folder in folders:
        if not folder.exists():
            raise UsageError(f"{str(folder)!r} is not there", hint="give folders of runs; was the artifact downloaded?")
        if folder.is_file():
            reports.append(_read_file(folder))
            paths.append(folder)
            continue
        if not plans:
            for path in _files(folder, _PLANS):
                found_plans[str(path)] = _load_plan(path)
                paths.append(path)
        read, used = _read_folder(folder, tuple(found_plans.values()))
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
    return Evidence(reports=tuple(reports), plans=tuple(different.values()), inputs=inputs, baseline=known)


def gather_again(paths: Sequence[Path], *, base: Path) -> Evidence:
    """The evidence of a verdict from the files that it names."""
    roles = {path: role_of(path) for path in paths}

    def of(role: str) -> list[Path]:
        return [path for path in paths if roles[path] == role]

    journals = {path.parent for path in of("journal")}
    folders = [*of("shard"), *of("ctrf"), *sorted(journals)]
    baseline = next(iter(of("baseline")), None)
    return gather(folders, junit=of("junit"), plans=of("plan"), baseline=baseline, base=base)


def load_baseline(path: Path) -> Baseline | None:
    """The baseline in ``path``; None when there is none. DecodeError when it cannot be read: it must not vanish unseen."""
    try:
        return loads(Baseline, path.read_bytes(), where=str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DecodeError(f"{path} cannot be read: {error.strerror}", hint="check the file's permissions") from error


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def _read_folder(folder: Path, plans: tuple[Plan, ...]) -> tuple[list[ShardReport], list[Path]]:
    shards = _files(folder, _SHARDS)
    reports = [_load_shard(path) for path in shards]
    told = {(report.configuration, report.shard, report.run_attempt) for report in reports}
    journals = _files(folder, _JOURNALS)
    killed = {key: path for path in journals if (key := _key_of(path)) is not None and key[:3] not in told}
    for (configuration, shard, attempt, run_id), path in killed.items():
        ref = ShardRef.parse(shard)
        plan = next((plan for plan in plans if plan.configuration == configuration), None)
        reports.append(
            read_shard(
                path.parent,
                run_id=run_id,
                shard=ref,
                expected=plan.shard(ref).test_ids if plan is not None else None,
                run_attempt=attempt,
                configuration=configuration,
                plan_digest=plan.expected_digest if plan is not None else "",
            )
        )
    if reports:
        return reports, [*shards, *(journals if killed else ())]
    if _files(folder, _PLANS):
        return [], []  # a run of ours that was planned to be empty, or killed before its first test: the plan knows which
    files = _files(folder, _JUNIT)
    if files:
        return [read_junit(path) for path in files], files
    empty = ShardReport(
        run_id="", shard=f"file:{folder.name}", cases=(), corrupt=("the folder holds no report, journal or JUnit file",)
    )
    return [empty], []


def _read_file(path: Path) -> ShardReport:
    """A single report: JUnit, a shard report of ours, or CTRF."""
    if path.suffix == ".xml":
        return read_junit(path)
    if path.name.startswith("shard-"):
        return _load_shard(path)
    return read_ctrf(path)


def _key_of(journal: Path) -> tuple[str, str, int, str] | None:
    """Configuration, shard, attempt and run of a journal, by its first line."""
    with journal.open("rb") as stream:
        line = stream.readline()
    try:
        start = parse_event(line, where=journal.name)
    except DecodeError:
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
        return loads(Plan, path.read_bytes(), where=str(path))
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
