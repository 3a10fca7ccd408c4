"""Shards and the plan: which shard runs which tests."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ci_tools.errors import UsageError
from ci_tools.model.case import DEFAULT_CONFIGURATION

PLAN_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ShardRef:
    """Which slice of the suite: ``2/4``, 1-based."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def slug(self) -> str:
        """File-name form: ``2-of-4``."""
        return f"{self.index}-of-{self.count}"

    def process(self, generation: int) -> str:
        """The name of the process that the supervisor starts as its first, second, … generation: ``2-of-4-1``."""
        return f"{self.slug}-{generation}"

    @classmethod
    def parse(cls, text: str) -> "ShardRef":
        """``2/4`` → the second of four; UsageError for anything else."""
        match = re.fullmatch(r"\s*(\d{1,6})/(\d{1,6})\s*", text)
        if match:
            index, count = int(match[1]), int(match[2])
            if 1 <= index <= count:
                return cls(index=index, count=count)
        what = f"shard is {text!r}, expected i/N with 1 ≤ i ≤ N"
        raise UsageError(what, hint="the second of four shards is 2/4")


WHOLE = ShardRef(index=1, count=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What the partition moves as one piece: a file, or a part of a file too heavy for one shard.

    ``path`` is the file, relative to the project; ``estimate_s`` the predicted seconds, ``samples`` how many of
    ``test_ids`` have timings behind that estimate.
    """

    path: str
    test_ids: tuple[str, ...]
    estimate_s: float = 0.0
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """The units of one shard, heaviest first, with its predicted seconds and the services that its tests declare.

    ``fixtures`` are those of the session and of packages that its tests need, with the seconds of setting each up once.

    A shard without units is planned to be empty: the suite has fewer pieces than shards. Running it is a success that
    says so, and no report is expected of it.
    """

    ref: ShardRef
    units: tuple[Unit, ...]
    predicted_s: float = 0.0
    services: tuple[str, ...] = ()
    fixtures: Mapping[str, float] = field(default_factory=dict)

    @property
    def test_ids(self) -> tuple[str, ...]:
        """Every test ID of this shard, in unit order."""
        return tuple(test_id for unit in self.units for test_id in unit.test_ids)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is planned here, not even a broken file."""
        return not self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which shard runs which tests, made once and shipped to every shard.

    ``shards`` has an entry for every index, empty ones (``Shard.is_empty``) included.
    ``expected_digest`` is over the sorted expected test IDs, ``filters`` is what narrowed the suite (paths, ``-k``, ``-m``),
    ``broken_files`` are files whose collection failed: they belong to a shard too, so that their error is reported.
    ``seed`` is what pytest-randomly shuffles every shard by; 0 without it. ``groups`` are the names, by test ID, of what stays
    together: in one shard, and there in one process.
    """

    commit: str
    shards: tuple[Shard, ...]
    expected_digest: str
    version: int = PLAN_VERSION
    configuration: str = DEFAULT_CONFIGURATION
    filters: tuple[str, ...] = ()
    timings_digest: str = ""
    broken_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seed: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def test_ids(self) -> tuple[str, ...]:
        """Every expected test ID, sorted."""
        return tuple(sorted(test_id for shard in self.shards for test_id in shard.test_ids))

    @property
    def filled(self) -> tuple[Shard, ...]:
        """The shards that have something to run: what a CI matrix starts and what a gate waits for."""
        return tuple(shard for shard in self.shards if not shard.is_empty)

    def shard(self, ref: ShardRef) -> Shard:
        """The shard with this index; UsageError when the plan has another count."""
        for shard in self.shards:
            if shard.ref == ref:
                return shard
        what = f"shard {ref} is not in the plan, which has {len(self.shards)} shard(s)"
        raise UsageError(what, hint="make the plan with the same number of shards, or leave --plan out")


def digest_of(test_ids: Iterable[str]) -> str:
    """Digest over a set of test IDs: order and repetition do not matter."""
    hasher = hashlib.sha256()
    for test_id in sorted(set(test_ids)):
        hasher.update(test_id.encode("utf-8", "surrogatepass"))
        hasher.update(b"\n")
    return "sha256:" + hasher.hexdigest()
