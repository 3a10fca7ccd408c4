"""process pool.

kind: process
outcome: error
besides: thread
"""

import concurrent.futures
import multiprocessing

KEPT = []


def test_offender():
    pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
    KEPT.append(pool)
    assert pool.submit(int, "1").result() == 1  # made here


def test_innocent():
    """An innocent neighbour."""
