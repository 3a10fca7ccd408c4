"""How well causes tell the roots of real suites' failures apart, on a sample made without sight of the algorithm."""

from pathlib import Path

import pytest
from held_out_causes_2 import NEAR_MISSES, Score, roots, sample, score, unpack

from ci_tools.model.verdict import Cause
from ci_tools.reports.causes import find_causes

LEAST = 0.97
"""What the project promises of precision and recall on a sample nobody tuned for."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sample is unpacked to."""
    return tmp_path_factory.mktemp("held-out")


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[dict[str, str], tuple[Cause, ...]]:
    """The true root of each failing test or file, and the causes found."""
    report = unpack(folder)
    assert not report.corrupt
    return roots(folder, report), find_causes(report)


def test_sample_is_as_large_as_it_claims(found: tuple[dict[str, str], tuple[Cause, ...]]) -> None:
    """The sample holds at least 60 roots of at least 3 cases, and both sides of each of its 40 or more near misses."""
    labels, _ = found
    counts = [sum(label == root for label in labels.values()) for root in set(labels.values())]
    assert sum(count >= 3 for count in counts) >= 60
    assert len(NEAR_MISSES) >= 40
    assert {name for pair in NEAR_MISSES for name in pair} <= set(labels.values())


def test_each_cause_is_one_root(found: tuple[dict[str, str], tuple[Cause, ...]]) -> None:
    """Pairwise precision and recall are at least 0.97 on the second held-out sample."""
    labels, causes = found
    reached = score(labels, [cause.tests for cause in causes], sample(labels))
    assert min(reached.precision, reached.recall) >= LEAST, reached


def test_score_falls_with_each_kind_of_mistake() -> None:
    """A merged pair lowers precision alone, a split root lowers recall alone."""
    labels = {"a": "x", "b": "x", "c": "y", "d": "y"}
    names = sorted(labels)
    assert Score(precision=1.0, recall=1.0, precision_of_roots=1.0, recall_of_roots=1.0) == score(
        labels, [["a", "b"], ["c", "d"]], names
    )
    assert Score(precision=1.0, recall=0.5, precision_of_roots=1.0, recall_of_roots=0.5) == score(
        labels, [["a", "b"], ["c"], ["d"]], names
    )
    merged = score(labels, [["a", "b", "c", "d"]], names)
    assert (2 / 6, 1.0) == (merged.precision, merged.recall)
