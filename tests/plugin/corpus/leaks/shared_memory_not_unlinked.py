"""Shared memory is closed and never unlinked.

kind: temporary
outcome: error
says: shared memory
"""

from multiprocessing import shared_memory


def test_offender() -> None:
    """Passes."""
    block = shared_memory.SharedMemory(create=True, size=100)  # made here
    block.close()


def test_innocent() -> None:
    """An innocent neighbour."""
