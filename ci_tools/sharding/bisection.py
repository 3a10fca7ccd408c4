"""Bisection: which of the tests that ran before one make it fail. Pure; running them is the caller's."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_RUNS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """What was found in ``runs`` runs.

    ``culprits`` run before the test, in this order, make it fail; none is found where it fails alone or does not fail at all.
    ``is_minimal`` says that leaving any one of them out makes it pass.
    """

    culprits: tuple[str, ...]
    runs: int
    is_minimal: bool
    reason: str


class _SpentError(Exception):
    """No more runs are allowed."""


def find_culprits(before: Sequence[str], fails_after: Callable[[Sequence[str]], bool], *, max_runs: int = MAX_RUNS) -> Bisection:
    """The fewest of ``before`` (test IDs in the order they ran) after which the test fails.

    ``fails_after`` runs these tests and then the one in question, and says whether that one failed. One culprit among n tests
    takes about 2 log2 n runs; several that only fail together take more (delta debugging). After ``max_runs`` the
    smallest set so far is given, as not minimal.
    """
    known: dict[tuple[str, ...], bool] = {}
    best = tuple(before)

    def fails(tests: tuple[str, ...]) -> bool:
        nonlocal best
        if tests not in known:
            if len(known) >= max_runs:
                raise _SpentError
            known[tests] = fails_after(tests)
            if known[tests] and len(tests) < len(best):
                best = tests
        return known[tests]

    try:
        if fails(()):
            return Bisection(culprits=(), runs=len(known), is_minimal=True, reason="it fails alone: no other test makes it fail")
        if not fails(best):
            what = f"it passed after all {len(best)} test(s) that ran before it: it is flaky, or the cause is outside these tests"
            return Bisection(culprits=(), runs=len(known), is_minimal=False, reason=what)
        culprits = _minimal(best, fails)
    except _SpentError:
        what = f"stopped after {max_runs} runs: the cause is among {len(best)} test(s)"
        return Bisection(culprits=best, runs=len(known), is_minimal=False, reason=what)
    what = f"it fails after {len(culprits)} of {len(before)} test(s) and passes without any one of them"
    return Bisection(culprits=culprits, runs=len(known), is_minimal=True, reason=what)


def _minimal(tests: tuple[str, ...], fails: Callable[[tuple[str, ...]], bool]) -> tuple[str, ...]:
    """Delta debugging: try each part alone, then all without each part, then finer parts."""
    parts = 2
    while len(tests) > 1:
        bounds = [len(tests) * number // parts for number in range(parts + 1)]
        slices = list(itertools.pairwise(bounds))
        # The culprit is more often near its victim: the last part first.
        alone = next((tests[start:end] for start, end in reversed(slices) if fails(tests[start:end])), None)
        if alone is not None:
            tests, parts = alone, 2
            continue
        without = next((rest for start, end in slices if fails(rest := tests[:start] + tests[end:])), None)
        if without is not None:
            tests, parts = without, max(parts - 1, 2)
        elif parts < len(tests):
            parts = min(parts * 2, len(tests))
        else:
            break
    return tests
