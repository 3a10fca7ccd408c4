"""Shared memory is unlinked and stays mapped.

kind: file
outcome: error
says: shared memory
"""

from multiprocessing import shared_memory

KEPT = []


def test_offender() -> None:
    """Passes."""
    block = shared_memory.SharedMemory(create=True, size=100)  # made here
    block.unlink()
    KEPT.append(block)


def test_innocent() -> None:
    """An innocent neighbour."""
