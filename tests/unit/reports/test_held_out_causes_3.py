from pathlib import Path

import pytest
from held_out_causes_3 import SOURCES, Score, Truth, read_run, score_of, unpack

from ci_tools.reports.causes import find_causes

AT_LEAST = 0.97
"""Pairwise precision and recall that the causes are to reach on failures nobody tuned them on."""


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """The labels, with the reports unpacked beside them."""
    return unpack(tmp_path_factory.getbasetemp() / "held-out-3")


@pytest.fixture(scope="module")
def folder(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reports are."""
    assert truth.labels
    return tmp_path_factory.getbasetemp() / "held-out-3"


@pytest.fixture(scope="module", params=SOURCES)
def score(request: pytest.FixtureRequest, truth: Truth, folder: Path) -> Score:
    """What one source's causes are worth."""
    return score_of(find_causes(read_run(folder, request.param)), truth)


def test_every_result_of_the_set_is_read(truth: Truth, folder: Path) -> None:
    """Each source has a result that isn't green, or a broken file, for every label."""
    for source in SOURCES:
        report = read_run(folder, source)
        red = [case for case in report.cases if not case.outcome.is_green]
        assert len(truth.labels) == len(red) + len({broken.path for broken in report.collection_errors})


def test_results_put_together_belong_together(score: Score) -> None:
    """Of a hundred pairs in one cause, at least 97 have one root."""
    assert score.precision >= AT_LEAST, score.merged


def test_results_that_belong_together_are_put_together(score: Score) -> None:
    """Of a hundred pairs with one root, at least 97 are in one cause."""
    assert score.recall >= AT_LEAST, score.split


def test_near_misses_stay_apart(score: Score, truth: Truth) -> None:
    """Of the pairs of roots that look alike, at least 97 of a hundred share no cause."""
    merged = {frozenset(pair) for pair in score.merged}
    apart = [pair for pair in truth.near_misses if frozenset(pair) not in merged]
    assert len(apart) >= AT_LEAST * len(truth.near_misses), merged
