"""The stage ``publish``: files for people and machines, the step summary, annotations, and the last lines on the terminal."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ci_tools.host import github
from ci_tools.host.files import write_chunks, write_text
from ci_tools.model.codec import dumped, dumps
from ci_tools.model.report import RunReport, ShardReport
from ci_tools.model.shard import ShardRef
from ci_tools.model.verdict import Input, Verdict
from ci_tools.pipeline.evidence import input_of
from ci_tools.pipeline.judge import Judgement
from ci_tools.pipeline.masking import mask_of
from ci_tools.pipeline.plan import load_timings
from ci_tools.pipeline.project import Console, Project
from ci_tools.reports.junit import write_junit
from ci_tools.reports.verify import seal
from ci_tools.sharding.timings import Timings, learn, render_timings
from ci_tools.summary.annotations import render_annotations
from ci_tools.summary.ctrf import render_ctrf
from ci_tools.summary.html import render_html
from ci_tools.summary.markdown import render_summary
from ci_tools.summary.terminal import render_verdict

_PUBLISHED = ("report.json", "summary.md", "timings.json", "junit.xml", "ctrf.json", "summary.html")
_LEFT = ("journal-*", "junit-*.xml", "*.log")
"""What workers and servers leave in a run's folder: read by people, judged by nobody once a shard has its report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Where the artifacts go and what is said beside them. ``pytest_s`` are the seconds of pytest itself, if it ran here.

    ``is_run`` says that the folder is a run's own: then its journals and logs are named in the verdict too.
    """

    folder: Path
    is_run: bool = False
    keeps_timings: bool = False
    pytest_s: float = 0.0
    started_at: float = 0.0
    shard: ShardRef | None = None


def write_shard(project: Project, folder: Path, report: ShardReport) -> None:
    """Put down what one shard did: its report, from which a gate elsewhere judges, and its JUnit."""
    name = f"{project.suffix_of(report.configuration)}-{report.shard.replace('/', '-of-')}"
    write_chunks(folder / f"shard{name}.json", dumped(report))
    write_junit(report, folder / f"junit{name}.xml")


def publish(project: Project, judgement: Judgement, publication: Publication, console: Console) -> None:
    """Write everything and say the verdict. The verdict itself is written first: what follows may be cut short.

    When all is written, the verdict is written once more, with the digests of the files beside it.
    """
    mask = mask_of(project)
    verdict, report = seal(mask.value(judgement.verdict)), mask.value(judgement.report)
    folder = publication.folder
    write_text(folder / "verdict.json", dumps(verdict))
    write_chunks(folder / "report.json", dumped(report))
    write_text(folder / "summary.md", render_summary(verdict, report))
    _publish_timings(project, judgement.reports, publication)
    write_junit(report, folder / "junit.xml")
    write_chunks(folder / "ctrf.json", render_ctrf(verdict, report))
    write_chunks(folder / "summary.html", render_html(verdict, report))
    verdict = seal(replace(verdict, published=tuple(_published(verdict, publication))))
    write_text(folder / "verdict.json", dumps(verdict))
    _tell_github(project, verdict, report)
    try:
        if github.is_github(project.environ):
            github.write_annotations(sys.stdout, render_annotations(verdict, report, path_prefix=_path_prefix(project)))
        _tell_console(project, verdict, report, publication, console)
    except OSError:
        # Whoever read our output has gone, or the disk behind it is full. The verdict stands in its file and in the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _published(verdict: Verdict, publication: Publication) -> Iterator[Input]:
    """The files beside the verdict that are none of its inputs, with their digests."""
    folder = publication.folder
    paths = [folder / name for name in _PUBLISHED]
    if publication.is_run:
        paths += sorted(path for pattern in _LEFT for path in folder.rglob(pattern))
    known = {entry.path for entry in verdict.inputs}
    items = (input_of(path, folder) for path in paths)
    yield from (replace(item, role="published") for item in items if item and item.path not in known)


def _publish_timings(project: Project, reports: tuple[ShardReport, ...], publication: Publication) -> None:
    kept = load_timings(project.timings_path)
    # All reports of a configuration at once: against its siblings it shows whether a shard was slow or the suite is.
    for configuration in sorted({report.configuration for report in reports}):
        own = [report for report in reports if report.configuration == configuration]
        kept = learn(kept, own)
    if kept == Timings.empty():
        return
    text = render_timings(kept)
    write_text(publication.folder / "timings.json", text)
    if publication.keeps_timings:
        write_text(project.timings_path, text)


def _tell_github(project: Project, verdict: Verdict, report: RunReport) -> None:
    if not github.is_github(project.environ):
        return
    room = github.summary_room(project.environ)
    if room:
        github.append_summary(project.environ, render_summary(verdict, report, budget_bytes=room))
    github.set_outputs(
        project.environ,
        {"verdict": str(verdict.decision), "exit-code": str(verdict.exit_code), "headline": verdict.headline},
    )


def _path_prefix(project: Project) -> str:
    """From the repository's root, where GitHub looks for files, to the project; empty where that is not known."""
    workspace = github.context(project.environ).workspace
    root = project.root.resolve()
    if not workspace or not root.is_relative_to(Path(workspace).resolve()):
        return ""
    inside = root.relative_to(Path(workspace).resolve()).as_posix()
    return "" if inside == "." else f"{inside}/"


def _tell_console(project: Project, verdict: Verdict, report: RunReport, publication: Publication, console: Console) -> None:
    width = shutil.get_terminal_size((120, 24)).columns
    with github.commands_stopped(sys.stdout, project.environ):
        console.say(render_verdict(verdict, report, width=width, color=sys.stdout.isatty(), repeat=project.repeat))
    if publication.pytest_s:
        whole_s = time.time() - publication.started_at
        around_s = max(0.0, whole_s - publication.pytest_s)
        console.say(f"{whole_s:.1f} s in all: pytest {publication.pytest_s:.1f} s, everything around it {around_s:.1f} s")
    console.say(f"artifacts: {publication.folder}")
    counts = report.counts
    bad = sum(count for outcome, count in counts.items() if not outcome.is_green)
    skipped = sum(count for outcome, count in counts.items() if outcome.is_green and not outcome.is_executed)
    flaky = len(report.flaky)
    passed = sum(counts.values()) - bad - skipped - flaky
    again = f", {flaky} flaky" if flaky else ""
    console.say(f"{passed} passed, {bad + len(report.collection_errors)} failed, {skipped} skipped{again}")
