"""Numbers and nouns as the gate writes them: no adjectives, percentages cut, a change from zero as two figures."""

from collections.abc import Sequence


def plural(count: int, noun: str, many: str = "") -> str:
    """``1 test``, ``2 tests``."""
    return f"{count} {noun if count == 1 else many or f'{noun}s'}"


def percent(part: int, whole: int) -> str:
    """The share with one decimal, cut: 9,999 of 10,000 is 99.9 %, never 100 %."""
    if whole <= 0:
        return "0.0 %"
    tenths = part * 1000 // whole
    return f"{tenths // 10}.{tenths % 10} %"


def change(before: int, after: int) -> str:
    """``+1 (17 → 18)``: two figures and their difference, never a ratio."""
    return f"{after - before:+d} ({before} → {after})"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
