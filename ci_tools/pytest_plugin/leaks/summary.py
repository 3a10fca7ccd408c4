"""Leaks said once: one line for what several tests left at one place, at the end of pytest's output."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

_FOUND = re.compile(r"^(?:E\s+)?leak \((?P<kind>\w+)\): (?P<what>.*?)(?:, made at (?P<place>\S+:\d+ in .*))?$")
_OWNER = re.compile(r"^(?:E\s+)?  owner: (?P<owner>.*\((?:function|class|module|package|session)\))$")
_HINT = re.compile(r"^(?:E\s+)?  hint:  (?P<hint>.*)$")
_FEWEST = 2
_SHOWN = 20


@dataclass(slots=True)
class _Group:
    """One kind of leak of one fixture, or from one line, and the tests that left it."""

    kind: str
    what: str
    place: str
    owner: str = ""
    hint: str = ""
    tests: dict[str, None] = field(default_factory=dict)


def say_leaks(terminal: pytest.TerminalReporter) -> None:
    """Name what more than one test left at the same place, the most frequent first."""
    reports = [
        (report.nodeid, report.longreprtext)
        for outcome in ("error", "failed")
        for report in terminal.stats.get(outcome, ())
        if isinstance(report, pytest.TestReport)
    ]
    groups = [group for group in group_leaks(reports) if len(group.tests) >= _FEWEST]
    if not groups:
        return
    groups.sort(key=lambda group: -len(group.tests))
    terminal.section("leaks that several tests left at one place", sep="=")
    for group in groups[:_SHOWN]:
        made = f", made at {group.place}" if group.place else ""
        terminal.write_line(f"{len(group.tests)} tests: leak ({group.kind}): {group.what}{made}")
        owner = f"{group.owner}; " if group.owner else ""
        terminal.write_line(f"  {owner}{group.hint}; the first: {next(iter(group.tests))}")
    if len(groups) > _SHOWN:
        terminal.write_line(f"and {len(groups) - _SHOWN} more places")


def group_leaks(reports: Iterable[tuple[str, str]]) -> list[_Group]:
    """Reports (test ID, text) by fixture and place: what leaked may read a little differently in each test."""
    groups: dict[tuple[str, str, str], _Group] = {}
    for test_id, text in reports:
        if "leak (" not in text:
            continue
        found: _Group | None = None
        for line in text.splitlines():
            if begun := _FOUND.match(line):
                _add(groups, found, test_id)
                found = _Group(begun["kind"], begun["what"], begun["place"] or "")
            elif found is not None and (owner := _OWNER.match(line)):
                found.owner = owner["owner"]
            elif found is not None and (hint := _HINT.match(line)):
                found.hint = hint["hint"]
        _add(groups, found, test_id)
    return list(groups.values())


def _add(groups: dict[tuple[str, str, str], _Group], found: _Group | None, test_id: str) -> None:
    if found is not None and (found.place or found.owner):
        groups.setdefault((found.kind, found.place, found.owner), found).tests[test_id] = None
