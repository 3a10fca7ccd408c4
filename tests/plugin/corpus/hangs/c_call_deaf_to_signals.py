"""A C call without the lock goes on sleeping after each signal.

outcome: timed_out
ends: yes
"""

import ctypes

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender() -> None:
    """Out of time in C that retries."""
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock.argtypes = (ctypes.c_void_p,)
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def test_after() -> None:
    """An innocent neighbour."""
