"""Whole texts, as a reader sees them.

After a wanted change: ``CI_TOOLS_WRITE_GOLDEN=1 pytest tests/unit/summary/test_golden.py``, and look at the difference.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from summary_sample import CASES, REPORT, VERDICT

from ci_tools.model.verdict import Decision
from ci_tools.summary.annotations import render_annotations
from ci_tools.summary.comment import render_comment
from ci_tools.summary.ctrf import render_ctrf
from ci_tools.summary.html import render_html
from ci_tools.summary.markdown import render_summary
from ci_tools.summary.terminal import render_verdict

FOLDER = Path(__file__).resolve().parents[2] / "golden" / "summary"
PASSED = replace(
    VERDICT, decision=Decision.PASSED, exit_code=0, headline="PASS 2/2 passed", causes=(), rules=VERDICT.rules[2:], flaky=()
)
GREEN = replace(REPORT, cases=CASES[9:11], shards=tuple(replace(shard, exits=()) for shard in REPORT.shards))
TEXTS = {
    "incomplete.md": lambda: render_summary(VERDICT, REPORT, artifact="integration-verdict"),
    "incomplete-4k.md": lambda: render_summary(VERDICT, REPORT, artifact="integration-verdict", budget_bytes=4_000),
    "incomplete.txt": lambda: render_verdict(VERDICT, REPORT, width=100),
    "incomplete.html": lambda: "".join(render_html(VERDICT, REPORT)),
    "incomplete.ctrf.json": lambda: "".join(render_ctrf(VERDICT, REPORT)),
    "incomplete.annotations": lambda: "\n".join(render_annotations(VERDICT, REPORT)) + "\n",
    "comment.md": lambda: render_comment(VERDICT, REPORT, key="ci/integration", budget_bytes=2_500),
    "passed.md": lambda: render_summary(PASSED, GREEN),
    "passed.txt": lambda: render_verdict(PASSED, GREEN, width=100),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_as_it_was(name: str) -> None:
    """Each form of the same run reads exactly as the file that people have looked at."""
    text = TEXTS[name]()
    path = FOLDER / name
    if os.environ.get("CI_TOOLS_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8", newline="")
    assert text == path.read_bytes().decode("utf-8")


def test_no_golden_file_is_forgotten() -> None:
    """Every file in the folder is compared with something."""
    assert sorted(path.name for path in FOLDER.iterdir() if path.name != ".gitattributes") == sorted(TEXTS)
