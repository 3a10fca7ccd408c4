"""Placement: which shard gets which clusters – by name where that comes out even, else longest first and evened out. Pure."""

import hashlib
import heapq
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ci_tools.sharding.estimates import Estimates
from ci_tools.sharding.pieces import Cluster, Piece, cut_off

HEAVY_SHARE = 0.01
"""Units above this share of a shard are placed longest first, so that what is uncertain is spread; the rest by name."""
NEAR = 0.02
"""Of the bound: shards whose loads differ by less count as equally loaded."""
ROOM = 1.002
"""Times the bound: what a shard may hold of the units that are placed by name."""
EVEN = 1.002
"""Times the bound: a shard that holds no more gives nothing away."""
LEAST_GAIN = 1000
"""One part in this many of the bound: a move that wins less is not worth it."""
LEAST_GAIN_BELOW = 50
"""The same for a shard that is lighter than the bound."""


def place_steadily(
    clusters: Sequence[Cluster], costs: Estimates, count: int, bias: Mapping[int, int], bound: int
) -> list[list[Piece]] | None:
    """Heavy clusters longest first, each light one in the first shard of its own preference that has room left.

    Preferences come from names alone, so a test that is added or gets slower moves next to nothing else. None where this
    does not come out even.
    """
    room, heavy, near = int(bound * ROOM), int(bound * HEAVY_SHARE), int(bound * NEAR)
    placed: list[list[Piece]] = [[] for _ in range(count)]
    loads = [bias.get(index + 1, 0) for index in range(count)]
    ready: list[frozenset[str]] = [frozenset()] * count
    strides = [stride for stride in range(1, count) if math.gcd(stride, count) == 1]
    for cluster in sorted(clusters, key=_by_magnitude):
        weight = sum(piece.cost for piece in cluster)
        most = min(loads) + near if weight > heavy else room - weight
        number = int.from_bytes(hashlib.blake2b(cluster[0].key.encode("utf-8", "surrogatepass"), digest_size=8).digest())
        stride = strides[number // count % len(strides)]
        preferred = ((number + attempt * stride) % count for attempt in range(count))
        index = next((index for index in preferred if loads[index] <= most), -1)
        if index < 0:
            return None
        wide = _wide(cluster, costs) - ready[index]
        weight += costs.set_up(wide)
        if loads[index] + weight > room:
            return None
        ready[index] |= wide
        placed[index].extend(cluster)
        loads[index] += weight
    return placed if all(placed) else None


def _by_magnitude(cluster: Cluster) -> tuple[int, str]:
    """Heaviest first as ``_by_weight``, but weights within a quarter of each other count as equal."""
    weight = sum(piece.cost for piece in cluster)
    return (-(weight**3).bit_length(), cluster[0].key)


def _by_weight(cluster: Cluster) -> tuple[int, str]:
    """Heaviest first, ties by name."""
    return (-sum(piece.cost for piece in cluster), cluster[0].key)


def place_longest_first(
    clusters: Sequence[Cluster], costs: Estimates, count: int, bias: Mapping[int, int], *, most: int = 0
) -> list[list[Piece]]:
    """Longest first to the shard that is the lightest with it, ties by key and by shard index.

    With ``most`` what needs fixtures of the session goes first, and to a shard that sets them up anyway as long as that holds no
    more than ``most`` then: few shards pay for them.
    """
    shards = [_Growing(index=index, load=bias.get(index + 1, 0)) for index in range(count)]
    heap = [(shard.load, shard.index) for shard in shards]
    heapq.heapify(heap)
    wides = {cluster[0].key: wide for cluster in clusters if (wide := _wide(cluster, costs))}
    for cluster in sorted(clusters, key=lambda cluster: (bool(most) and cluster[0].key not in wides, *_by_weight(cluster))):
        wide = wides.get(cluster[0].key, frozenset())
        if wide:
            weight = sum(piece.cost for piece in cluster)
            paid = [(shard.load, shard.index) for shard in shards if wide <= shard.ready and shard.load + weight <= most]
            every = ((shard.load + costs.set_up(wide - shard.ready), shard.index) for shard in shards)
            shards[(min(paid) if paid else min(every))[1]].take(cluster, costs, wide)
            heap = [(shard.load, shard.index) for shard in shards]
            heapq.heapify(heap)
        else:
            shard = shards[heap[0][1]]
            shard.take(cluster, costs, frozenset())
            heapq.heapreplace(heap, (shard.load, shard.index))
    return [shard.pieces for shard in shards]


@dataclass(slots=True, kw_only=True)
class _Growing:
    """A shard that is being filled: its load, and the session's fixtures that it sets up."""

    index: int
    load: int
    pieces: list[Piece] = field(default_factory=list)
    ready: frozenset[str] = frozenset()
    _ids: dict[str, list[str]] = field(default_factory=dict)

    def take(self, cluster: Cluster, costs: Estimates, wide: frozenset[str]) -> None:
        """Grow by the cluster. Of a second part of a file the import and the file's fixtures are paid already."""
        before = self.load
        self.load += costs.set_up(wide - self.ready)
        self.ready |= wide
        for piece in cluster:
            here = self._ids.setdefault(piece.path, [])
            if here:
                self.load -= costs.file(piece.path, here)
                self.load += costs.file(piece.path, [*here, *piece.test_ids])
            else:
                self.load += piece.cost
            here.extend(piece.test_ids)
            self.pieces.append(piece)
        self.load = max(self.load, before + 1)  # so that what weighs nothing is spread too


def loads_of(placed: Sequence[Sequence[Piece]], costs: Estimates, bias: Mapping[int, int]) -> list[int]:
    """Microseconds of each shard: every file in it imported, and its and the session's fixtures set up, once."""
    return [_load(pieces, costs) + bias.get(index, 0) for index, pieces in enumerate(placed, start=1)]


def even_out(placed: Sequence[Sequence[Piece]], costs: Estimates, bias: Mapping[int, int], bound: int) -> list[list[Piece]]:
    """The heaviest shard gives a piece, or what it cuts off one, to the lightest, as long as that makes it clearly lighter.

    So what is uneven at the end costs a few imports, and not a finer cut of every file. A shard below the bound gives too, when
    much is won: the bound may be one long test, and what is heavy beside it is heavier than that when estimates err.
    """
    shards = [list(pieces) for pieces in placed]
    loads = loads_of(shards, costs, bias)
    stuck: set[int] = set()
    for _ in range(3 * len(shards)):
        giver = max((index for index in range(len(shards)) if index not in stuck), key=lambda at: (loads[at], -at), default=-1)
        taker = min(range(len(shards)), key=lambda at: (loads[at], at))
        if giver in {-1, taker}:
            break
        least_gain = max(bound // (LEAST_GAIN if loads[giver] > bound * EVEN else LEAST_GAIN_BELOW), 1)
        best = None
        if loads[giver] - loads[taker] > least_gain:
            moves = _moves(shards[giver], loads[giver] - loads[taker], _wide(shards[taker], costs), costs)
            best = min(moves, key=lambda move: move[:2], default=None)
        if best is None:
            stuck.add(giver)
            continue
        changed = {giver: best[2], taker: [*shards[taker], best[3]]}
        after = {index: _load(pieces, costs) + bias.get(index + 1, 0) for index, pieces in changed.items()}
        if max(after.values()) > loads[giver] - least_gain:
            stuck.add(giver)
            continue
        for index, pieces in changed.items():
            shards[index], loads[index] = pieces, after[index]
    return shards


def _moves(
    pieces: Sequence[Piece], gap: int, ready: frozenset[str], costs: Estimates
) -> Iterator[tuple[int, str, list[Piece], Piece]]:
    """What the heavier of two shards would hold above the lighter one's load now, by what is moved: what stays, and what goes.

    ``ready`` are the session's fixtures that the lighter one sets up anyway.
    """
    for number, piece in enumerate(pieces):
        if piece.is_bound:
            continue
        others = [*pieces[:number], *pieces[number + 1 :]]
        if others:
            yield max(gap - piece.cost, piece.cost + costs.set_up(_wide((piece,), costs) - ready)), piece.key, others, piece
        cut = cut_off(piece, gap // 2, costs)
        if cut is not None:
            rest, part = cut
            taken = part.cost + costs.set_up(_wide((part,), costs) - ready)
            yield max(gap - piece.cost + rest.cost, taken), piece.key, [*others, rest], part


def _load(pieces: Collection[Piece], costs: Estimates) -> int:
    ids: dict[str, list[str]] = {}
    for piece in pieces:
        ids.setdefault(piece.path, []).extend(piece.test_ids)
    of_files = sum(costs.file(path, test_ids) for path, test_ids in ids.items())
    return of_files + costs.set_up(_wide(pieces, costs))


def _wide(pieces: Iterable[Piece], costs: Estimates) -> frozenset[str]:
    return costs.wide_of(test_id for piece in pieces for test_id in piece.test_ids) if costs.wide else frozenset()
