"""How much a summary says: the ladder from everything down to the causes alone, one rung at a time."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One rung. Counts are how many of a kind are shown, ``*_bytes`` how much of one text."""

    passing: bool
    """Slowest and suspiciously fast tests, rules that hold, inputs: what is said about tests that passed."""
    tracebacks: int
    """Not-passing tests shown with their traceback."""
    tests: int
    """Not-passing, lost and flaky tests named."""
    tests_per_cause: int
    causes: int
    example_bytes: int
    shards: int


LADDER = (
    Detail(passing=True, tracebacks=50, tests=500, tests_per_cause=50, causes=50, example_bytes=16_000, shards=500),
    Detail(passing=False, tracebacks=50, tests=500, tests_per_cause=50, causes=50, example_bytes=8_000, shards=500),
    Detail(passing=False, tracebacks=0, tests=200, tests_per_cause=20, causes=50, example_bytes=4_000, shards=200),
    Detail(passing=False, tracebacks=0, tests=20, tests_per_cause=5, causes=30, example_bytes=2_000, shards=50),
    Detail(passing=False, tracebacks=0, tests=0, tests_per_cause=3, causes=20, example_bytes=1_000, shards=0),
    Detail(passing=False, tracebacks=0, tests=0, tests_per_cause=1, causes=10, example_bytes=300, shards=0),
    Detail(passing=False, tracebacks=0, tests=0, tests_per_cause=0, causes=3, example_bytes=0, shards=0),
    Detail(passing=False, tracebacks=0, tests=0, tests_per_cause=0, causes=0, example_bytes=0, shards=0),
)
"""Tried from the first on until the text fits."""


@dataclass(slots=True)
class LeftOut:
    """What a summary does not show, gathered while it is rendered: how many of each kind."""

    counts: dict[str, int] = field(default_factory=dict)

    def note(self, count: int, what: str) -> None:
        """Remember that ``count`` more of ``what`` (a plural) are not shown; nothing for 0 and less."""
        if count > 0:
            self.counts[what] = self.counts.get(what, 0) + count
