"""The progress line of a run: a state in, a line out. Who shows it decides when and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ci_tools.model.case import Outcome
from ci_tools.summary.quantities import render_duration
from ci_tools.summary.terminal import columns, fit, render_counts

_BAR = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A run while it runs. ``expected`` is 0 while unknown; ``in_flight`` maps test IDs to the seconds they run already."""

    elapsed_s: float
    expected: int = 0
    counts: Mapping[Outcome, int] = field(default_factory=dict)
    in_flight: Mapping[str, float] = field(default_factory=dict)
    workers: int = 1
    stage: str = "run"

    @property
    def finished(self) -> int:
        """Tests that have an outcome."""
        return sum(self.counts.values())


def render_progress(progress: Progress, *, width: int = 100, color: bool = False) -> str:
    """One line of at most ``width`` columns, without its newline: bar, counts, time, and the test that runs longest."""
    told = render_duration(progress.elapsed_s)
    if progress.expected:
        done = min(1.0, progress.finished / progress.expected)
        # Full only when all are there: 999 of 1000 is no full bar.
        filled = _BAR if done == 1.0 else min(_BAR - 1, int(done * _BAR))
        bar = f"[{'█' * filled}{'·' * (_BAR - filled)}] {progress.finished}/{progress.expected}"
    else:
        bar = f"{progress.stage} {progress.finished}" if progress.finished else progress.stage
    plain = f"{bar}  {render_counts(dict(progress.counts))}  {told}"
    shown = f"{bar}  {render_counts(dict(progress.counts), color=color)}  {told}"
    if columns(plain) > width:
        return fit(plain, width)
    room = width - columns(plain) - 2
    longest = max(progress.in_flight.items(), key=lambda item: (item[1], item[0]), default=None)
    if longest is None or room < _BAR:
        return shown
    return f"{shown}  {fit(f'{longest[0]} ({render_duration(longest[1])})', room)}"
