"""A daemon thread ends the process with code 0 while a test runs.

outcome: crashed
ends: yes
"""

import os
import threading
import time


def test_before() -> None:
    """An innocent neighbour."""


def test_offender() -> None:
    """Would end the run green."""
    threading.Thread(target=os._exit, args=(0,), daemon=True).start()
    time.sleep(30)


def test_after() -> None:
    """An innocent neighbour."""
