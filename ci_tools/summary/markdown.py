"""``summary.md``: the worst truth first, then what is broken and what to fix first, then everything else that fits."""

from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Verdict
from ci_tools.summary import sections
from ci_tools.summary.detail import LADDER, Detail, LeftOut
from ci_tools.summary.escape import inline_code, size_of

BUDGET_BYTES = 1_000_000
"""GitHub drops a step's whole summary above 1 048 576 bytes; other commands of the step may append to it too."""


def render_summary(
    verdict: Verdict,
    report: RunReport,
    *,
    budget_bytes: int = BUDGET_BYTES,
    artifact: str = "",
) -> str:
    """The summary in at most ``budget_bytes`` bytes of UTF-8, ending with what was left out.

    ``artifact`` names where the whole truth lies. Mask secrets in both values before (``masking.Mask.value``).
    Where not even the shortest form fits, the head and the last line remain, whatever their size (below 2 000 bytes).
    """
    for detail in LADDER:
        text = _render(verdict, report, detail, artifact)
        if size_of(text) <= budget_bytes:
            return text
    everything = LeftOut(counts={"everything below the headline": 1})
    return "\n\n".join([sections.render_head(verdict, report), _render_end(everything, artifact)]) + "\n"


def _render(verdict: Verdict, report: RunReport, detail: Detail, artifact: str) -> str:
    left = LeftOut()
    parts = (
        sections.render_head(verdict, report),
        sections.render_errors(verdict, detail),
        sections.render_areas(report, detail, left),
        sections.render_causes(verdict, detail, left),
        sections.render_rules(verdict, detail, left),
        sections.render_troubles(report, detail, left),
        sections.render_shards(report, detail, left),
        sections.render_not_passing(report, detail, left),
        sections.render_flaky(report, detail, left),
        sections.render_times(report, detail, left),
        sections.render_services(verdict, report),
        sections.render_run(verdict, report, detail, left),
        _render_end(left, artifact),
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _render_end(left: LeftOut, artifact: str) -> str:
    where = f"in the artifact {inline_code(artifact)}" if artifact else "in `report.json` and `summary.html` beside this file"
    if not left.counts:
        return f"---\n\nNothing was left out here; the same as data is {where}."
    listed = ", ".join(f"{what} ({count})" for what, count in left.counts.items())
    return f"---\n\nLeft out here: {listed}. All of it is {where}."
