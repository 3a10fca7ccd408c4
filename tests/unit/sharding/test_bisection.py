from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_tools.model.journal import SessionFinished, TestStarted, WorkerStarted
from ci_tools.model.shard import digest_of
from ci_tools.model.worker import FileOrder
from ci_tools.sharding.bisection import find_culprits
from ci_tools.sharding.sequences import orders_of_sequence, recorded_sequence

TESTS = tuple(f"t{n}" for n in range(100))


def needs(*culprits: str) -> Callable[[Sequence[str]], bool]:
    """A test that fails when all of these ran before it."""
    return lambda tests: set(culprits) <= set(tests)


@pytest.mark.parametrize("culprit", ["t0", "t37", "t99"])
def test_one_culprit(culprit: str) -> None:
    """One culprit among a hundred is found in about 2 log2 n runs."""
    found = find_culprits(TESTS, needs(culprit))
    assert (found.culprits, found.is_minimal) == ((culprit,), True)
    assert found.runs <= 16


@given(culprits=st.sets(st.sampled_from(TESTS[:30]), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_culprits_that_fail_only_together(culprits: set[str]) -> None:
    """Several tests that fail it only together are all found, in the order they ran, and nothing else."""
    found = find_culprits(TESTS[:30], needs(*culprits))
    assert found.culprits == tuple(test for test in TESTS[:30] if test in culprits)
    assert found.is_minimal


def test_it_fails_alone() -> None:
    """A test that fails without any other has no culprits, after one run."""
    found = find_culprits(TESTS, lambda _: True)
    assert (found.culprits, found.runs, found.reason) == ((), 1, "it fails alone: no other test makes it fail")


def test_it_does_not_fail() -> None:
    """A test that passes after all others is said to be flaky or caused from outside."""
    found = find_culprits(TESTS, lambda _: False)
    assert (found.culprits, found.runs, found.is_minimal) == ((), 2, False)


def test_runs_are_bounded() -> None:
    """After the last allowed run the smallest failing set so far is given, and said not to be minimal."""
    found = find_culprits(TESTS, needs("t3", "t96"), max_runs=6)
    assert (found.runs, found.is_minimal) == (6, False)
    assert {"t3", "t96"} <= set(found.culprits)


def test_a_recorded_sequence() -> None:
    """The order of a worker is that of its starts; a rerun counts where it ran first."""
    events = [
        WorkerStarted(at=0, run_id="r", worker="main", pid=1),
        *(TestStarted(at=n, test_id=test_id) for n, test_id in enumerate(["b", "a", "b", "c"])),
        SessionFinished(at=9, exit_status=0, finished=3),
    ]
    assert recorded_sequence(events) == ("b", "a", "c")


def test_orders_of_a_sequence() -> None:
    """A sequence that jumps between files has one order a file, with digests over its own tests."""
    assert orders_of_sequence(["b.py::x", "a.py::y", "b.py::z"]) == (
        FileOrder(path="b.py", expected_digest=digest_of(["b.py::x", "b.py::z"]), test_ids=("b.py::x", "b.py::z")),
        FileOrder(path="a.py", expected_digest=digest_of(["a.py::y"]), test_ids=("a.py::y",)),
    )
