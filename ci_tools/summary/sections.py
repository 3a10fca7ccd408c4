"""The sections of the Markdown summary: each renders whole blocks or nothing, so that leaving one out breaks no fence."""

from collections.abc import Iterable, Iterator, Sequence

from ci_tools.model.case import DEFAULT_CONFIGURATION, Attempt, Case, Outcome
from ci_tools.model.report import RunReport
from ci_tools.model.service import Provenance
from ci_tools.model.verdict import Cause, Decision, RuleResult, Verdict
from ci_tools.summary import findings
from ci_tools.summary.detail import Detail, LeftOut
from ci_tools.summary.escape import cell_code, fence, inline_code, markdown_text, truncate_middle
from ci_tools.summary.quantities import render_count, render_duration, render_size, render_time

MARKS = {Decision.PASSED: "✅", Decision.FAILED: "❌", Decision.INCOMPLETE: "⚠️", Decision.ERROR: "💥"}
"""Never green for anything but passed."""

_LINE_BYTES = 400
_ERROR_BYTES = 2_000
_SLOWEST = 10
_AREAS = 20
_SHORT_COMMIT = 12


def render_head(verdict: Verdict, report: RunReport) -> str:
    """The headline, then the run in one line."""
    facts = [
        f"verdict **{verdict.decision}**, exit code {verdict.exit_code}",
        f"profile {inline_code(verdict.profile)}",
        *([f"commit {inline_code(verdict.commit[:_SHORT_COMMIT])}"] if verdict.commit else []),
        render_duration(report.duration_s),
        *([f"ci-tools {inline_code(verdict.tool_version)}"] if verdict.tool_version else []),
    ]
    lines = [f"# {MARKS[verdict.decision]} {markdown_text(_short(verdict.headline))}", " · ".join(facts)]
    if report.interrupted_by:
        lines.append(f"**Interrupted by {inline_code(report.interrupted_by)}**: what had not finished by then is lost.")
    if not verdict.is_complete_proven:
        lines.append("**Completeness is not proven**: without a plan nobody knows which tests should have run.")
    return "\n\n".join(lines)


def render_areas(report: RunReport, detail: Detail, left: LeftOut) -> str:
    """What is broken, in the words that users of the tested thing would know: the names of its test files."""
    areas = findings.broken_areas(report)
    shown = areas[: min(detail.causes, _AREAS)]
    left.note(len(areas) - len(shown), "broken areas")
    rows = [
        f"- **{markdown_text(_short(area.name))}** ({inline_code(_short(area.path))}): {findings.state_of(area)}"
        for area in shown
    ]
    return "\n\n".join(["## What is broken", "\n".join(rows)]) if rows else ""


def render_causes(verdict: Verdict, detail: Detail, left: LeftOut) -> str:
    """What to fix first: one block a root cause, the one that unblocks most tests first."""
    causes = findings.ordered_causes(verdict)
    if not causes:
        return ""
    shown = causes[: detail.causes]
    left.note(len(causes) - len(shown), "causes")
    blocks = [_cause(number, cause, detail, left) for number, cause in enumerate(shown, start=1)]
    return "\n\n".join(["## What to fix first", *blocks]) if blocks else ""


def _cause(number: int, cause: Cause, detail: Detail, left: LeftOut) -> str:
    lines = [f"### {number}. {inline_code(_short(cause.title))}", f"It {markdown_text(_short(findings.reach_of(cause)))}."]
    facts = [
        *([f"- where: {inline_code(_short(cause.location))}"] if cause.location else []),
        *([f"- spread: {inline_code(_short(cause.spread))}"] if cause.spread else []),
        *([f"- shards: {', '.join(inline_code(shard) for shard in cause.shards[:20])}"] if cause.shards else []),
        f"- example: {inline_code(_short(cause.example_test))}",
    ]
    lines.append("\n".join(facts))
    if cause.command:
        lines.append("Repeat it:\n\n" + fence(cause.command, info="sh"))
    text = cause.example.text or cause.example.message
    if text and detail.example_bytes:
        lines.append(_folded("Example", fence(truncate_middle(text, detail.example_bytes))))
    elif text:
        left.note(1, "examples of causes")
    if detail.tests_per_cause and len(cause.tests) > 1:
        lines.append(
            _folded(f"All {len(cause.tests)} tests", _bullets(cause.tests, detail.tests_per_cause, "tests of a cause", left))
        )
    return "\n\n".join(lines)


def render_rules(verdict: Verdict, detail: Detail, left: LeftOut) -> str:
    """Rules that do not hold, in a table; those that hold folded below."""
    broken = findings.violations(verdict)
    holding = tuple(rule for rule in verdict.rules if rule.holds)
    parts = []
    if broken:
        parts.append("## Rules that do not hold\n\n" + _rule_table(broken, is_broken=True))
        details = [(rule.rule, line) for rule in broken for line in rule.details]
        if details and detail.tests:
            shown = details[: detail.tests]
            rows = "\n".join(f"- {inline_code(rule)}: {inline_code(_short(line))}" for rule, line in shown)
            parts.append(_folded(f"Details of {render_count(len(broken), 'rule')}", rows))
            left.note(len(details) - len(shown), "details of rules")
        else:
            left.note(len(details), "details of rules")
    if holding and detail.passing:
        parts.append(
            _folded(
                f"{render_count(len(holding), 'rule')} that hold" + ("s" if len(holding) == 1 else ""),
                _rule_table(holding, is_broken=False),
            )
        )
    else:
        left.note(len(holding), "rules that hold")
    return "\n\n".join(parts)


def _rule_table(rules: Iterable[RuleResult], *, is_broken: bool) -> str:
    head = ["rule", "expected", "actual", *(["makes the verdict"] if is_broken else [])]
    rows = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for rule in rules:
        cells = [cell_code(rule.rule), cell_code(_short(rule.expected)), cell_code(_short(rule.actual))]
        cells += [rule.breach.value] if is_broken else []
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def render_shards(report: RunReport, detail: Detail, left: LeftOut) -> str:
    """Counts per shard. Outcomes nobody had are left out as columns."""
    rows = findings.shard_rows(report)
    if not rows or not detail.shards:
        left.note(len(rows), "rows of shards")
        return ""
    used = [outcome for outcome in reversed(findings.WORST_FIRST) if any(row.counts[outcome] for row in rows)]
    several = any(row.configuration != DEFAULT_CONFIGURATION for row in rows)
    head = ["shard", *(["configuration"] if several else []), *(outcome.value.replace("_", " ") for outcome in used), "time", ""]
    lines = ["## Shards", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows[: detail.shards]:
        attempt = f" (attempt {row.run_attempt})" if row.run_attempt > 1 else ""
        cells = [
            cell_code(row.shard) + attempt,
            *([cell_code(row.configuration)] if several else []),
            *(str(row.counts[outcome]) for outcome in used),
            render_duration(row.duration_s),
            cell_code(_short(row.remark)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    left.note(len(rows) - detail.shards, "rows of shards")
    return "\n".join(lines)


def render_not_passing(report: RunReport, detail: Detail, left: LeftOut) -> str:
    """Every test that did not pass, the worst outcome first: those that fit with their traceback, the rest by name."""
    cases = findings.not_passing(report)
    if not cases or not detail.tests:
        left.note(len(cases), "tests that did not pass, one by one")
        return ""
    full = cases[: min(detail.tracebacks, detail.tests)]
    named = cases[len(full) : detail.tests]
    left.note(len(cases) - len(full) - len(named), "tests that did not pass, one by one")
    left.note(len(named), "tracebacks")
    blocks = [
        _folded(f"{case.outcome.value.replace('_', ' ')}: {cell_code(findings.name_of(case))}", _story(case, detail))
        for case in full
    ]
    rows = [
        f"- {case.outcome.value.replace('_', ' ')}: {inline_code(findings.name_of(case))} {_reason(case)}".rstrip()
        for case in named
    ]
    return "\n\n".join(["## Tests that did not pass", *blocks, *(["\n".join(rows)] if rows else [])])


def _story(case: Case, detail: Detail) -> str:
    parts: list[str] = []
    for attempt in case.attempts:
        head = f"Attempt {attempt.number} on shard {inline_code(attempt.shard)}, {render_duration(attempt.duration_s)}"
        parts.append(f"{head}: {attempt.outcome.value.replace('_', ' ')} {_attempt_reason(attempt)}".rstrip())
        parts.extend(
            fence(truncate_middle(failure.text or failure.message, detail.example_bytes)) for failure in attempt.failures
        )
        if attempt.stacks:
            parts.append("Stacks when time ran out:\n\n" + fence(truncate_middle(attempt.stacks, detail.example_bytes)))
        for leak in attempt.leaks:
            parts.append(f"Left a {inline_code(leak.kind)} behind: {inline_code(_short(leak.what))}")
            if leak.created_stack:
                parts.append(fence(truncate_middle(leak.created_stack, detail.example_bytes)))
    return "\n\n".join(parts)


def troubles_of(report: RunReport) -> tuple[tuple[str, Sequence[str]], ...]:
    """What is wrong with the run as such, each kind with its title; the lists may be empty."""
    return (
        ("Missing shards: they sent no report", report.missing_shards),
        ("Files that could not be collected: their tests are unknown", tuple(error.path for error in report.collection_errors)),
        ("Lost tests: planned and never reported", tuple(findings.name_of(case) for case in findings.lost(report))),
        ("Reports that cannot be trusted whole", report.corrupt),
        ("Tests that ran without being planned", report.unexpected),
        ("Tests that ran in more than one shard", report.duplicated),
        ("Inputs given more than once, counted once", report.repeated_inputs),
        ("Contradictions between reports and plan", report.problems),
        ("Odd but harmless", report.warnings),
    )


def render_errors(verdict: Verdict, detail: Detail) -> str:
    """What went wrong around the tests: it stands before the causes, since no test can be blamed for it."""
    if not verdict.errors:
        return ""
    told = (fence(truncate_middle(error.what, max(detail.example_bytes, _ERROR_BYTES))) for error in verdict.errors)
    return "\n\n".join(["## What went wrong around the tests", *told])


def render_troubles(report: RunReport, detail: Detail, left: LeftOut) -> str:
    """The troubles of the run as such: each a heading and a list."""
    parts = []
    for title, lines in troubles_of(report):
        if lines and detail.tests:
            parts.append(f"## {title} ({len(lines)})\n\n" + _bullets(lines, detail.tests, title.split(":")[0].lower(), left))
        else:
            left.note(len(lines), title.split(":")[0].lower())
    return "\n\n".join(parts)


def render_flaky(report: RunReport, detail: Detail, left: LeftOut) -> str:
    """Tests that passed after a failed attempt, with why the first one failed."""
    cases = findings.flaky(report)
    if not cases or not detail.tests:
        left.note(len(cases), "flaky tests")
        return ""
    rows = []
    for case in cases[: detail.tests]:
        first = next(attempt for attempt in case.attempts if not attempt.outcome.is_green)
        attempts = render_count(len(case.attempts), "attempt")
        rows.append(
            f"- {inline_code(findings.name_of(case))}, {attempts}; first {first.outcome.value} {_attempt_reason(first)}".rstrip()
        )
    left.note(len(cases) - detail.tests, "flaky tests")
    return "\n\n".join([f"## Flaky: passed after a failed attempt ({len(cases)})", "\n".join(rows)])


def render_times(report: RunReport, detail: Detail, left: LeftOut) -> str:
    """The slowest tests, and passed ones too fast to have asked a service anything."""
    slow, fast = findings.slowest(report, _SLOWEST), findings.suspiciously_fast(report)
    if not detail.passing:
        left.note(len(slow), "slowest tests")
        left.note(len(fast), "suspiciously fast tests")
        return ""
    parts = []
    if slow:
        rows = ["| test | outcome | time | set-up | call | tear-down |", "| --- | --- | ---: | ---: | ---: | ---: |"]
        rows += [
            f"| {cell_code(findings.name_of(case))} | {case.outcome.value} | {' | '.join(_times_of(case))} |" for case in slow
        ]
        parts.append(_folded(f"Slowest {render_count(len(slow), 'test')}", "\n".join(rows)))
    if fast:
        names = [findings.name_of(case) for case in fast]
        title = f"Suspiciously fast: {render_count(len(fast), 'passed test')} under {render_duration(findings.FAST_S)}"
        parts.append(_folded(title, _bullets(names, detail.tests_per_cause, "suspiciously fast tests", left)))
    return "\n\n".join(parts)


def _times_of(case: Case) -> Iterator[str]:
    """The whole and its phases; a dash where nobody measured them apart (JUnit of others has the whole only)."""
    last = case.attempts[-1]
    phases = (last.setup_s, last.call_s, last.teardown_s)
    yield render_duration(case.duration_s)
    yield from (render_duration(phase) if any(phases) else "–" for phase in phases)


def render_services(verdict: Verdict, report: RunReport) -> str:
    """Which servers the tests spoke to, their versions and where they came from."""
    services = _distinct(verdict.services or report.services)
    if not services:
        return ""
    rows = [
        "## Services",
        "",
        "| service | version | provided | from | why | ready after |",
        "| --- | --- | --- | --- | --- | ---: |",
    ]
    for service in services:
        source = service.path or f"{service.host}:{service.port}"
        ready = render_duration(service.start_ms / 1000) if service.start_ms else "–"
        cells = (
            service.kind.value,
            cell_code(service.version),
            service.provider.value,
            cell_code(_short(source)),
            cell_code(_short(service.reason)),
        )
        rows.append("| " + " | ".join(cells) + f" | {ready} |")
    return "\n".join(rows)


def render_run(verdict: Verdict, report: RunReport, detail: Detail, left: LeftOut) -> str:
    """Which run this was: commit, time, plan, tool and the files the verdict was made from."""
    facts = (
        ("run", report.run_id or verdict.run_id),
        ("commit", verdict.commit or report.commit),
        ("plan", verdict.plan_digest or report.plan_digest),
        ("started", render_time(report.started_at)),
        ("took", render_duration(report.duration_s)),
        ("judged", render_time(verdict.created_at)),
        ("tool", f"ci-tools {verdict.tool_version}" if verdict.tool_version else ""),
    )
    lines = ["## Run", "", *(f"- {name}: {inline_code(value)}" for name, value in facts if value and value != "–")]
    lines += [f"- note: {markdown_text(_short(note))}" for note in verdict.notes[:20]]
    if verdict.inputs and detail.passing:
        rows = ["| input | size | sha256 |", "| --- | ---: | --- |"]
        rows += [
            f"| {cell_code(item.path)} | {render_size(item.size)} | {cell_code(item.sha256)} |" for item in verdict.inputs[:100]
        ]
        lines += ["", _folded(f"{render_count(len(verdict.inputs), 'input')} of the verdict", "\n".join(rows))]
        left.note(len(verdict.inputs) - 100, "inputs")
    else:
        left.note(len(verdict.inputs), "inputs")
    return "\n".join(lines)


def _distinct(services: Iterable[Provenance]) -> list[Provenance]:
    """One row for servers that differ in nothing but port and process: eight workers have eight of one binary."""
    seen: dict[tuple[str, ...], Provenance] = {}
    for service in services:
        place = "" if service.path else f"{service.host}:{service.port}"
        seen.setdefault((service.kind, service.provider, service.version, service.path, service.reason, place), service)
    return list(seen.values())


def _bullets(lines: Sequence[str], count: int, what: str, left: LeftOut) -> str:
    left.note(len(lines) - count, what)
    rows = [f"- {inline_code(_short(line))}" for line in lines[:count]]
    more = len(lines) - len(rows)
    return "\n".join([*rows, *([f"- … and {more} more"] if more else [])])


def _folded(title: str, body: str) -> str:
    """``title`` is already safe; the blank lines let Markdown work inside."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _reason(case: Case) -> str:
    reason = findings.reason_of(case)
    return f"– {inline_code(_short(reason))}" if reason else ""


def _attempt_reason(attempt: Attempt) -> str:
    return _reason(Case(test_id="", attempts=(attempt,))) if attempt.outcome is not Outcome.PASSED else ""


def _short(text: str) -> str:
    return truncate_middle(text, _LINE_BYTES)
