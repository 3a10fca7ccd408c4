"""Causes on a set that was written without sight of the algorithm, and frozen before the first measurement.

The first measurement gave precision 0.817 and recall 0.945: that is the held-out figure. The algorithm was then changed with
the set in sight (precision 1.000, recall 0.983; what lacks is the crash in 22 tests, each its own cause). Since then it guards
against falling back, and says nothing about failures that nobody has looked at.
"""

from collections import Counter
from math import comb

import pytest
from stranger_causes import ALL_ROOTS, PAIRS, ROOTS, StrangerSet, Style, make_set

from ci_tools.reports.causes import find_causes

LEAST = 0.97
"""Share of pairs of failures that must be right, in precision and in recall: asked before anything was measured."""


@pytest.fixture(scope="module")
def stranger_set() -> StrangerSet:
    """The frozen set."""
    return make_set()


@pytest.fixture(scope="module")
def cause_of(stranger_set: StrangerSet) -> dict[str, str]:
    """Test ID → signature of its cause."""
    found = [(test_id, cause.signature) for cause in find_causes(stranger_set.report) for test_id in cause.tests]
    assert len(found) == len({test_id for test_id, _ in found}), "a failure lies in two causes"
    return dict(found)


def pairs_in(sizes: Counter[str] | Counter[tuple[str, str]]) -> int:
    """How many pairs of failures lie together in groups of these sizes."""
    return sum(comb(size, 2) for size in sizes.values())


def test_the_set_is_what_it_says(stranger_set: StrangerSet) -> None:
    """24 roots and 16 twins, about a thousand failures of distinct tests, about a third of them wrapped in set-up."""
    styles = Counter(stranger_set.style_of.values())
    total = len(stranger_set.root_of)
    assert (len(ROOTS), len(PAIRS)) == (24, 16)
    assert Counter(stranger_set.root_of.values()) == {root.name: root.count for root in ALL_ROOTS}
    assert total == sum(root.count for root in ALL_ROOTS)
    assert 950 <= total <= 1150
    assert 0.27 <= (styles[Style.WRAPPED] + styles[Style.RAW]) / total <= 0.40


def test_the_set_is_always_the_same(stranger_set: StrangerSet) -> None:
    """A second making gives equal failures."""
    assert make_set() == stranger_set


def test_every_failure_has_a_cause(stranger_set: StrangerSet, cause_of: dict[str, str]) -> None:
    """No failing test is without a cause, and no passing one has any."""
    assert set(cause_of) == set(stranger_set.root_of)


def test_what_lies_together_belongs_together(stranger_set: StrangerSet, cause_of: dict[str, str]) -> None:
    """Of the pairs of failures in one cause, 97 % share their root."""
    both = Counter((stranger_set.root_of[test_id], cause) for test_id, cause in cause_of.items())
    assert pairs_in(both) / pairs_in(Counter(cause_of.values())) >= LEAST


def test_what_belongs_together_lies_together(stranger_set: StrangerSet, cause_of: dict[str, str]) -> None:
    """Of the pairs of failures with one root, 97 % lie in one cause."""
    both = Counter((stranger_set.root_of[test_id], cause) for test_id, cause in cause_of.items())
    assert pairs_in(both) / pairs_in(Counter(stranger_set.root_of.values())) >= LEAST


@pytest.mark.parametrize(("root", "twin"), PAIRS, ids=[twin.replace(" ", "-") for _, twin in PAIRS])
def test_twins_stay_apart(stranger_set: StrangerSet, cause_of: dict[str, str], root: str, twin: str) -> None:
    """Two roots that differ in one telling token share no cause."""
    causes = {name: {cause_of[test_id] for test_id, of in stranger_set.root_of.items() if of == name} for name in (root, twin)}
    assert causes[root] & causes[twin] == set()
