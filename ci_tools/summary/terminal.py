"""What ``ci-tools run`` says at its end on a terminal: the verdict, the causes and the exact command to repeat what failed."""

import shlex
import textwrap
import unicodedata
from collections.abc import Iterable
from itertools import accumulate

from ci_tools.model.case import DEFAULT_CONFIGURATION, Outcome
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Cause, Decision, Verdict
from ci_tools.summary import findings
from ci_tools.summary.escape import one_line, visible
from ci_tools.summary.quantities import render_count, render_duration

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}
_DECISION_COLOURS = {Decision.PASSED: "green", Decision.FAILED: "red", Decision.INCOMPLETE: "yellow", Decision.ERROR: "red"}
_NARROWEST = 40
_CAUSES = 10
_NAMES = 10


def render_verdict(
    verdict: Verdict, report: RunReport, *, width: int = 100, color: bool = False, repeat: str = "ci-tools run"
) -> str:
    """The last lines of a run, none wider than ``width`` columns but commands, which stay whole to be copied.

    ``repeat`` is the command by which the person came here.
    """
    width = max(width, _NARROWEST)
    paint = _Paint(on=color)
    lines = [
        "",
        *_errors(verdict, paint),
        *_causes(verdict, width, paint),
        *_rules(verdict, width, paint),
        *_names("lost (planned, never reported)", [findings.name_of(case) for case in findings.lost(report)], width, paint),
        *_names("missing shards", report.missing_shards, width, paint),
        *_names("given more than once, counted once", report.repeated_inputs, width, paint),
        *_names(
            "flaky (passed after a failed attempt)", [findings.name_of(case) for case in findings.flaky(report)], width, paint
        ),
        *_services(verdict, report, width, paint),
        *_repeat(verdict, report, repeat, paint),
        "",
        *_last(verdict, report, width, paint),
    ]
    spaced = [line for line, before in zip(lines, ["x", *lines], strict=False) if line or before]
    return "\n".join(spaced) + "\n"


def _last(verdict: Verdict, report: RunReport, width: int, paint: "_Paint") -> list[str]:
    """The verdict stands last: that is where eyes are when a command ends."""
    colour = _DECISION_COLOURS[verdict.decision]
    head = paint(fit(verdict.headline, width), colour, "bold")
    facts = [f"verdict {verdict.decision}", f"exit code {verdict.exit_code}", render_duration(report.duration_s)]
    if not verdict.is_complete_proven:
        facts.append("completeness not proven")
    if report.interrupted_by:
        facts.insert(0, f"interrupted by {report.interrupted_by}")
    return [head, paint(fit(" · ".join(facts), width), "dim")]


def _errors(verdict: Verdict, paint: "_Paint") -> list[str]:
    """What went wrong around the tests stands whole and first: no test can say it."""
    lines = []
    for error in verdict.errors:
        first, *rest = visible(error.what).splitlines() or [""]
        lines += [paint(f"error: {first}", "red", "bold"), *rest, ""]
    return lines


def _causes(verdict: Verdict, width: int, paint: "_Paint") -> list[str]:
    causes = findings.ordered_causes(verdict)
    if not causes:
        return []
    title = "1 cause" if len(causes) == 1 else f"{len(causes)} causes, the one that unblocks most tests first"
    lines = [paint(fit(title, width), "bold")]
    for number, cause in enumerate(causes[:_CAUSES], start=1):
        lines += _cause(number, cause, width, paint)
    if len(causes) > _CAUSES:
        lines.append(f"  … and {render_count(len(causes) - _CAUSES, 'more cause')}: summary.md has them")
    return [*lines, ""]


def _cause(number: int, cause: Cause, width: int, paint: "_Paint") -> list[str]:
    head = f"{number:>3}. "
    details = [
        findings.reach_of(cause),
        f"example {cause.example_test}",
        *([f"at {cause.location}"] if cause.location else []),
        *([f"spread: {cause.spread}"] if cause.spread else []),
    ]
    lines = [head + paint(fit(cause.title, width - len(head)), "red")]
    lines += ["     " + fit(line, width - 5) for line in details]
    if cause.command:
        lines.append("     " + paint(one_line(cause.command), "bold"))
    return lines


def _rules(verdict: Verdict, width: int, paint: "_Paint") -> list[str]:
    lines = []
    for rule in findings.violations(verdict):
        told = f"{rule.rule}: expected {one_line(rule.expected)}, actual {one_line(rule.actual)}"
        wrapped = textwrap.wrap(told, width - 4, break_long_words=True, break_on_hyphens=False) or [told]
        lines += ["  " + paint("✗ ", "red") + wrapped[0], *("    " + line for line in wrapped[1:])]
    return [paint("rules that do not hold", "bold"), *lines, ""] if lines else []


def _names(title: str, names: Iterable[str], width: int, paint: "_Paint") -> list[str]:
    listed = list(names)
    if not listed:
        return []
    lines = [paint(fit(f"{len(listed)} {title}", width), "yellow"), *("  " + fit(name, width - 2) for name in listed[:_NAMES])]
    if len(listed) > _NAMES:
        lines.append(f"  … and {len(listed) - _NAMES} more")
    return [*lines, ""]


def _services(verdict: Verdict, report: RunReport, width: int, paint: "_Paint") -> list[str]:
    """A line a server program; the several of one kind that came from it are one."""
    told = {
        f"{item.kind} {item.version} ({item.provider}{': ' + item.path if item.path else ''})": None
        for item in verdict.services or report.services
    }
    return [paint(fit(f"service  {line}", width), "dim") for line in told]


def _repeat(verdict: Verdict, report: RunReport, repeat: str, paint: "_Paint") -> list[str]:
    """Commands for the shards that are not green; those for tests stand at their causes."""
    if verdict.decision is Decision.PASSED:
        return []
    bad: dict[str, dict[str, None]] = {}
    for row in findings.shard_rows(report):
        if row.remark or any(count and not outcome.is_green for outcome, count in row.counts.items()):
            bad.setdefault(row.shard, {})[row.configuration] = None
    commands = [
        " ".join(
            [
                f"{repeat} --shard {shlex.quote(one_line(shard))}",
                *(f"--configuration {shlex.quote(one_line(name))}" for name in configurations if name != DEFAULT_CONFIGURATION),
            ]
        )
        for shard, configurations in bad.items()
        if "/" in shard and shard != "1/1"
    ]
    if not commands:
        return []
    return [paint("repeat a shard", "bold"), *("  " + command for command in commands[:_NAMES])]


def fit(text: str, width: int) -> str:
    """The text on one line and cut in the middle to ``width`` columns; wide characters count two, marks none."""
    line = one_line(text)
    if columns(line) <= width:
        return line
    left, right = (width - 1) - (width - 1) // 2, (width - 1) // 2
    return f"{_take(line, left)}…{_take(line[::-1], right)[::-1]}"


def columns(text: str) -> int:
    """How many columns a terminal needs for one line."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _take(text: str, width: int) -> str:
    widths = accumulate(map(_columns, text))
    return "".join(character for character, taken in zip(text, widths, strict=True) if taken <= width)


class _Paint:
    """Colours, or nothing where colours are off."""

    __slots__ = ("_on",)

    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, *styles: str) -> str:
        codes = ";".join(_COLOURS[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m" if self._on and text else text


_WORDS = {
    Outcome.PASSED: ("passed", "green"),
    Outcome.FAILED: ("failed", "red"),
    Outcome.ERROR: ("error", "red"),
    Outcome.TIMED_OUT: ("timed out", "red"),
    Outcome.CRASHED: ("crashed", "red"),
    Outcome.XPASSED: ("xpassed", "red"),
    Outcome.SKIPPED: ("skipped", "yellow"),
    Outcome.XFAILED: ("xfailed", "yellow"),
    Outcome.LOST: ("lost", "red"),
}


def render_counts(counts: dict[Outcome, int], *, color: bool = False) -> str:
    """``2 failed · 16 passed``: the worst outcome first, what nobody had left out; ``no test`` for nothing."""
    paint = _Paint(on=color)
    told = [
        paint(f"{counts[outcome]} {_WORDS[outcome][0]}", _WORDS[outcome][1])
        for outcome in findings.WORST_FIRST
        if counts.get(outcome, 0)
    ]
    return " · ".join(told) or "no test"
