"""Causes on the sixth stranger's set, which nothing was tuned on: 0.942 and 0.905 when first measured, and as they are now."""

from pathlib import Path

import pytest
from held_out_causes_6 import SOURCES, Score, Truth, read_run, red_names, score_of, unpack

from ci_tools.reports.causes import find_causes

REACHED = (0.94, 0.90)
"""Pairwise precision and recall: short of the 0.97 that is asked for, and not to fall further."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reports are."""
    return tmp_path_factory.mktemp("held-out-6")


@pytest.fixture(scope="module")
def truth(folder: Path) -> Truth:
    """The labels, with the reports unpacked beside them."""
    return unpack(folder)


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_reached_is_kept(source: str, truth: Truth, folder: Path) -> None:
    """All that is red is read; precision, recall and the near misses that stay apart do not fall."""
    report = read_run(folder, source)
    assert set(truth.labels) == red_names(report)
    score: Score = score_of(find_causes(report), truth)
    assert (True, True) == (score.precision >= REACHED[0], score.recall >= REACHED[1]), (score.precision, score.recall)
    merged = {frozenset(pair) for pair in score.merged}
    assert len([pair for pair in truth.near_misses if frozenset(pair) not in merged]) >= len(truth.near_misses) - 2
