"""The verbs ``timings …``: look at what plans are made from, merge it, start from what a team has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import UsageError
from ci_tools.host.files import write_text
from ci_tools.model.case import DEFAULT_CONFIGURATION, Outcome
from ci_tools.pipeline.project import Project, open_project
from ci_tools.reports.foreign import read_junit
from ci_tools.sharding.durations import parse_durations
from ci_tools.sharding.timings import Timings, from_pairs, merge, parse_timings, render_timings

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingsRequest:
    """What ``ci-tools timings`` was asked for; ``output`` is the kept file when it is None."""

    root: Path
    environ: Mapping[str, str]
    files: tuple[Path, ...] = ()
    output: Path | None = None
    configuration: str = DEFAULT_CONFIGURATION


def show(request: TimingsRequest) -> str:
    """The slowest tests of the kept timings, or of the given file, by configuration."""
    project = open_project(request.root, request.environ)
    path = request.files[0] if request.files else project.timings_path
    timings = _read(path)
    lines = [f"{path}: {sum(len(tests) for tests in timings.tests.values())} test(s)"]
    for configuration, tests in sorted(timings.tests.items()):
        ordered = sorted(tests.items(), key=lambda item: (-item[1].duration_s, item[0]))
        lines.append(f"{configuration}: {sum(timing.duration_s for timing in tests.values()):.1f} s in {len(tests)} test(s)")
        lines += [f"  {timing.duration_s:8.3f} s  {len(timing.samples)} sample(s)  {name}" for name, timing in ordered[:_SHOWN]]
        if len(ordered) > _SHOWN:
            lines.append(f"  … and {len(ordered) - _SHOWN} faster ones")
    return "\n".join(lines)


def combine(request: TimingsRequest) -> str:
    """Merge timings files; their order does not matter."""
    project = open_project(request.root, request.environ)
    merged = merge(*(_read(path) for path in _given(request.files, "ci-tools timings merge timings-1.json timings-2.json")))
    return _write(merged, request, project)


def from_junit(request: TimingsRequest) -> str:
    """Timings from the JUnit files, or pytest-split's ``.test_durations``, that a team already has; added to what is kept."""
    project = open_project(request.root, request.environ)
    pairs: list[tuple[str, float]] = []
    for path in _given(request.files, "ci-tools timings from-junit junit.xml"):
        if path.suffix == ".xml":
            pairs += [(case.test_id, case.duration_s) for case in read_junit(path).cases if case.outcome is Outcome.PASSED]
        else:
            pairs += parse_durations(path.read_bytes(), where=str(path))
    known = _read(project.timings_path) if project.timings_path.is_file() else Timings.empty()
    return _write(merge(known, from_pairs(pairs, configuration=request.configuration)), request, project)


def _given(files: Sequence[Path], example: str) -> Sequence[Path]:
    if not files:
        raise UsageError("no file is given", hint=example)
    for path in files:
        if not path.is_file():
            raise UsageError(f"{str(path)!r} is not there", hint="give files that exist")
    return files


def _read(path: Path) -> Timings:
    try:
        return parse_timings(path.read_bytes(), where=str(path))
    except OSError as error:
        what = f"timings {str(path)!r} cannot be read: {error.strerror}"
        raise UsageError(what, hint="a run makes them; `ci-tools timings from-junit` starts from JUnit files") from error


def _write(timings: Timings, request: TimingsRequest, project: Project) -> str:
    path = request.output or project.timings_path
    write_text(path, render_timings(timings))
    return f"{path}: {sum(len(tests) for tests in timings.tests.values())} test(s)"
