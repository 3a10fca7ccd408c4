"""A multiprocessing process is started and forgotten.

kind: process
outcome: error
"""

import multiprocessing
import time

KEPT = []


def test_offender() -> None:
    """Passes."""
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(3600,), daemon=True)
    child.start()  # made here
    KEPT.append(child)


def test_innocent() -> None:
    """An innocent neighbour."""
