import math

import pytest

from ci_tools.summary.quantities import render_count, render_duration, render_size, render_time


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 ms"),
        (0.0004, "<1 ms"),
        (0.0314, "31 ms"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (math.nan, "–"),
        (-1, "–"),
    ],
)
def test_durations_read_well(seconds: float, expected: str) -> None:
    """The unit fits the size, and rounding never shows sixty of anything."""
    assert render_duration(seconds) == expected


@pytest.mark.parametrize(
    ("epoch", "expected"), [(1795357739.0, "2026-11-22 14:28:59 UTC"), (0, "–"), (math.inf, "–"), (1e300, "–"), (-5, "–")]
)
def test_times_are_utc(epoch: float, expected: str) -> None:
    """A point in time is shown in UTC; what is none is a dash."""
    assert render_time(epoch) == expected


def test_counts_and_sizes_are_in_words() -> None:
    """One is singular; sizes use SI prefixes."""
    assert [render_count(count, "test") for count in (0, 1, 2)] == ["0 tests", "1 test", "2 tests"]
    assert [render_size(count) for count in (812, 1400, 3_200_000)] == ["812 B", "1.4 kB", "3.2 MB"]
