"""The verbs ``timings …``: look at what plans are made from, merge it, start from what a team has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_tools.errors import DecodeError, UsageError
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
    files = _given(request.files, "ci-tools timings from-junit junit.xml")
    pairs: list[tuple[str, float]] = []
    problems: list[str] = []
    for path in files:
        found, said = _pairs_of(path)
        pairs += found
        problems += said
    learned = from_pairs(pairs, configuration=request.configuration)
    if not learned.tests:
        what = (
            "; ".join(problems) or f"{', '.join(map(str, files))}: no test passed, and only those that did say how long they take"
        )
        raise DecodeError(what, hint="give the JUnit files, or the .test_durations, of a run that was mostly green")
    known = _read(project.timings_path) if project.timings_path.is_file() else Timings.empty()
    told = _write(merge(known, learned), request, project)
    count = len(learned.of(request.configuration))
    return "\n".join([f"{told}, {count} learned from {len(files)} file(s)", *(f"  not read: {problem}" for problem in problems)])


def _pairs_of(path: Path) -> tuple[list[tuple[str, float]], tuple[str, ...]]:
    """(test ID, seconds) of each test that passed at once, whatever the file is called; and what of it could not be read."""
    text = path.read_bytes()
    if path.suffix != ".xml" and not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return list(parse_durations(text, where=str(path))), ()
    report = read_junit(path, label=str(path))
    cases = [case for case in report.cases if case.outcome is Outcome.PASSED and len(case.attempts) == 1]
    return [(case.test_id, case.duration_s) for case in cases], report.corrupt


def _given(files: Sequence[Path], example: str) -> Sequence[Path]:
    if not files:
        raise UsageError("no file is given", hint=example)
    for path in files:
        if not path.is_file():
            there = "is no file" if path.exists() else "is not there"
            raise UsageError(f"{str(path)!r} {there}", hint="give files that exist")
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
