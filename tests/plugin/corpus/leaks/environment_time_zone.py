"""The time zone is changed, and what the C library makes of it.

kind: environment
outcome: error
"""

import os
import time

WAS = time.localtime(0).tm_hour


def test_offender() -> None:
    """Passes."""
    os.environ["TZ"] = "Pacific/Kiritimati"  # made here
    time.tzset()


def test_innocent() -> None:
    """An innocent neighbour."""
    assert time.localtime(0).tm_hour == WAS
