"""``summary.html``: the whole truth in one file that loads nothing and runs nothing."""

import base64
import hashlib
from collections.abc import Iterator
from itertools import chain, islice

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ci_tools.model.case import Case
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Verdict
from ci_tools.summary import findings
from ci_tools.summary.escape import truncate_middle, visible
from ci_tools.summary.html_template import STYLE, TEMPLATE
from ci_tools.summary.quantities import render_duration, render_time
from ci_tools.summary.sections import troubles_of

_PIECES = 200
"""Of the template's pieces, most of them a few characters long, this many are handed over as one."""
_ROWS = 250
"""Tests in one table. A browser lays out only the tables that are in sight: 100,000 tests in one took it 17 s, 2 now."""

_TEXT_BYTES = 200_000
"""One text; a test that prints a gigabyte must not make a page that no browser opens."""


def render_html(verdict: Verdict, report: RunReport) -> Iterator[str]:
    """Pieces of one self-contained page: every test, every attempt, every rule.

    Escaped by the template engine, styles bound by hash. A test's piece is made when it is asked for.
    """
    # Autoescape for every value; only the style sheet, which is ours, goes in as it is.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.filters["visible"] = lambda value: visible(truncate_middle(str(value), _TEXT_BYTES))
    environment.filters["reach"] = findings.reach_of
    environment.filters["state"] = findings.state_of
    environment.filters["duration"] = render_duration
    ordered = [*findings.not_passing(report), *findings.lost(report)]
    seen = set(map(id, ordered))
    cases = chain(ordered, (case for case in report.cases if id(case) not in seen))
    rows = findings.shard_rows(report)
    page = environment.from_string(
        TEMPLATE
    ).stream(
        verdict=verdict,
        report=report,
        style=Markup(STYLE),  # noqa: S704 - a constant of ours
        style_hash=_hash_of(STYLE),
        facts=[fact for fact in (f"profile {verdict.profile}", render_duration(report.duration_s), verdict.commit[:12]) if fact],
        areas=findings.broken_areas(report),
        causes=findings.ordered_causes(verdict),
        rules=[*findings.violations(verdict), *(rule for rule in verdict.rules if rule.holds)],
        troubles=troubles_of(report),
        outcomes=[outcome for outcome in reversed(findings.WORST_FIRST) if any(row.counts[outcome] for row in rows)],
        shards=rows,
        services=verdict.services or report.services,
        tests=len(report.cases),
        tables=_tables(cases),
        run=[
            ("run", report.run_id or verdict.run_id),
            ("commit", verdict.commit or report.commit),
            ("plan", verdict.plan_digest or report.plan_digest),
            ("started", render_time(report.started_at)),
            ("judged", render_time(verdict.created_at)),
            ("ci-tools", verdict.tool_version),
        ],
    )
    page.enable_buffering(_PIECES)
    return iter(page)


def _tables(cases: Iterator[Case]) -> Iterator[list[tuple[Case, str, str]]]:
    while rows := [(case, findings.name_of(case), _why(case)) for case in islice(cases, _ROWS)]:
        yield rows


def _why(case: Case) -> str:
    return "" if case.outcome.is_green and not case.attempts[-1].reason else findings.reason_of(case)


def _hash_of(style: str) -> str:
    """The source expression that lets a Content-Security-Policy allow exactly this style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return f"sha256-{digest}"
