"""An executor is used and not shut down: its worker waits for work that never comes.

kind: thread
outcome: error
"""

from concurrent.futures import ThreadPoolExecutor

KEPT = []


def test_offender() -> None:
    """Passes."""
    pool = ThreadPoolExecutor(1)
    KEPT.append(pool)
    assert pool.submit(sum, [1, 2]).result() == 3  # made here


def test_innocent() -> None:
    """An innocent neighbour."""
