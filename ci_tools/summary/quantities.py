"""Numbers, durations and points in time as people read them."""

import math
from datetime import UTC, datetime

_MINUTE_S = 60
_HOUR_S = 3600


def render_count(count: int, noun: str) -> str:
    """``1 test``, ``2 tests``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def render_duration(seconds: float) -> str:
    """``4 ms``, ``1.2 s``, ``3 min 05 s``, ``2 h 07 min``; a dash for what is no length of time."""
    if not math.isfinite(seconds) or seconds < 0:
        return "–"
    if seconds < 1:
        millis = seconds * 1000
        return f"{millis:.0f} ms" if millis >= 1 or millis == 0 else "<1 ms"
    if round(seconds, 1) < _MINUTE_S:
        return f"{seconds:.1f} s"
    if round(seconds) < _HOUR_S:
        minutes, rest = divmod(round(seconds), _MINUTE_S)
        return f"{minutes} min {rest:02d} s"
    hours, rest = divmod(round(seconds / _MINUTE_S), _MINUTE_S)
    return f"{hours} h {rest:02d} min"


def render_time(epoch_s: float) -> str:
    """UTC to the second, ``2026-11-22 14:28:59 UTC``; a dash when unknown (0) or out of range."""
    if not math.isfinite(epoch_s) or epoch_s <= 0:
        return "–"
    try:
        return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return "–"


def render_size(count: int) -> str:
    """``812 B``, ``1.4 kB``, ``3.2 MB``."""
    if count < 1000:  # noqa: PLR2004 - SI
        return f"{count} B"
    if count < 1_000_000:  # noqa: PLR2004 - SI
        return f"{count / 1000:.1f} kB"
    return f"{count / 1_000_000:.1f} MB"
