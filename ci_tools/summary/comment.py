"""The comment on a pull request: the summary under a hidden marker, by which the next run finds and replaces it."""

import re

from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Verdict
from ci_tools.summary.markdown import render_summary

BUDGET_BYTES = 60_000
"""GitHub refuses a body above 65 536 characters; bytes are never fewer than characters."""

_MARKER = "<!-- ci-tools:summary key={key} -->"
_UNSAFE = re.compile(r"[^A-Za-z0-9._/]+")  # two dashes in a row would end the HTML comment


def comment_marker(key: str) -> str:
    """The first line of the comment for ``key`` (workflow and job): two jobs never overwrite each other's comment."""
    return _MARKER.format(key=_UNSAFE.sub("-", key)[:200].strip("-") or "default")


def is_comment_of(body: str, key: str) -> bool:
    """Whether a comment's body was written for ``key``."""
    return body.lstrip("\ufeff \r\n").startswith(comment_marker(key))


def render_comment(verdict: Verdict, report: RunReport, *, key: str, artifact: str = "", budget_bytes: int = BUDGET_BYTES) -> str:
    """Marker and summary in at most ``budget_bytes`` bytes. Every text from tests stands in code, so nobody is mentioned."""
    marker = comment_marker(key)
    summary = render_summary(verdict, report, budget_bytes=budget_bytes - len(marker.encode()) - 1, artifact=artifact)
    return f"{marker}\n{summary}"
