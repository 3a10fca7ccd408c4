"""All clocks of Python are replaced by one that stands still, and the test waits for it.

outcome: timed_out
ends: no
"""

import time

import pytest


def test_before() -> None:
    """An innocent neighbour."""


@pytest.mark.timeout(1)
def test_offender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a clock that does not go."""
    for name in ("monotonic", "perf_counter", "time"):
        monkeypatch.setattr(time, name, lambda: 0.0)
    while time.monotonic() < 1:
        pass


def test_after() -> None:
    """An innocent neighbour."""
