"""The plan as a file: in plain sight what people and workflows read, compressed the test IDs in full. Pure.

bzip2 and not zlib: its format has one encoder, so the same plan is the same file with every build of Python. The digests over
the test IDs are checked when the file is read: a plan that lost one is no plan.
"""

import binascii
import bz2
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ci_tools.errors import DecodeError
from ci_tools.model.case import DEFAULT_CONFIGURATION
from ci_tools.model.codec import dumps, from_json
from ci_tools.model.shard import PLAN_VERSION, Plan, Shard, ShardRef, Unit, digest_of

MOST_BYTES = 1 << 28
"""Test IDs of a plan, unpacked: a million long ones. A plan may come from a fork, and little unpacks to very much."""

_AGAIN = "make the plan again with this version of ci-tools: ci-tools plan"
_CHANGED = "the file was cut off or changed by hand; make it again: ci-tools plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredUnit:
    """A unit with the number of its tests in their place."""

    path: str
    tests: int
    estimate_s: float = 0.0
    samples: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredShard:
    """A shard with the number of its tests and the digest over them."""

    ref: ShardRef
    units: tuple[_StoredUnit, ...]
    tests: int
    digest: str
    predicted_s: float = 0.0
    services: tuple[str, ...] = ()
    fixtures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredPlan:
    """The file's form.

    ``compressed`` is base64 of bzip2 of JSON: ``ids`` holds of each unit, shard after shard, what all its test IDs begin with and
    then the rest of each; ``groups`` by name the positions of its tests among all test IDs.
    """

    version: int
    commit: str
    shards: tuple[_StoredShard, ...]
    tests: int
    expected_digest: str
    compressed: str
    configuration: str = DEFAULT_CONFIGURATION
    filters: tuple[str, ...] = ()
    timings_digest: str = ""
    broken_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seed: int = 0
    facts: Mapping[str, str] = field(default_factory=dict)


def render_plan(plan: Plan) -> str:
    """One line of JSON, deterministic; 100,000 test IDs are about half a megabyte."""
    shards = tuple(
        _StoredShard(
            ref=shard.ref,
            units=tuple(
                _StoredUnit(path=unit.path, tests=len(unit.test_ids), estimate_s=unit.estimate_s, samples=unit.samples)
                for unit in shard.units
            ),
            tests=sum(len(unit.test_ids) for unit in shard.units),
            digest=digest_of(shard.test_ids),
            predicted_s=shard.predicted_s,
            services=shard.services,
            fixtures=shard.fixtures,
        )
        for shard in plan.shards
    )
    stored = _StoredPlan(
        version=plan.version,
        commit=plan.commit,
        shards=shards,
        tests=sum(shard.tests for shard in shards),
        expected_digest=plan.expected_digest,
        compressed=_packed(plan),
        configuration=plan.configuration,
        filters=plan.filters,
        timings_digest=plan.timings_digest,
        broken_files=plan.broken_files,
        notes=plan.notes,
        seed=plan.seed,
        facts=plan.facts,
    )
    return dumps(stored)


def parse_plan(text: str | bytes, *, where: str = "plan.json") -> Plan:
    """The plan of a file's text.

    DecodeError when it is of another version (which is said), cut off, or when its test IDs are not those of its digests.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"{where} is not JSON: {error}", hint=_CHANGED) from error
    version = data.get("version") if isinstance(data, dict) else None
    if version != PLAN_VERSION:
        what = f"{where} is a plan of version {version!r:.20}, this ci-tools reads version {PLAN_VERSION}"
        raise DecodeError(what, hint=_AGAIN)
    stored = from_json(_StoredPlan, data, where=where)
    ids, groups = _unpacked(stored.compressed, where)
    units = iter(ids)
    shards = []
    for shard in stored.shards:
        made = Shard(
            ref=shard.ref,
            units=tuple(
                Unit(path=unit.path, test_ids=next(units, ()), estimate_s=unit.estimate_s, samples=unit.samples)
                for unit in shard.units
            ),
            predicted_s=shard.predicted_s,
            services=shard.services,
            fixtures=shard.fixtures,
        )
        _check(f"shard {shard.ref} of {where}", made.test_ids, shard.tests, shard.digest)
        shards.append(made)
    every = [test_id for shard in shards for test_id in shard.test_ids]
    _check(where, every, stored.tests, stored.expected_digest)
    return Plan(
        commit=stored.commit,
        shards=tuple(shards),
        expected_digest=stored.expected_digest,
        configuration=stored.configuration,
        filters=stored.filters,
        timings_digest=stored.timings_digest,
        broken_files=stored.broken_files,
        notes=stored.notes,
        seed=stored.seed,
        groups=_groups_of(groups, every, where),
        facts=stored.facts,
    )


def _packed(plan: Plan) -> str:
    """Each unit's test IDs without what all of them begin with, which makes the text half as long to compress."""
    ids: list[list[str]] = []
    positions: dict[str, list[int]] = {}
    position = 0
    for shard in plan.shards:
        for unit in shard.units:
            prefix = _beginning(min(unit.test_ids), max(unit.test_ids)) if unit.test_ids else ""
            ids.append([prefix, *(test_id[len(prefix) :] for test_id in unit.test_ids)])
            if plan.groups:
                for number, test_id in enumerate(unit.test_ids, start=position):
                    if test_id in plan.groups:
                        positions.setdefault(plan.groups[test_id], []).append(number)
            position += len(unit.test_ids)
    # ASCII: an ID may hold half a surrogate pair, which has no bytes.
    text = json.dumps({"groups": positions, "ids": ids}, sort_keys=True, separators=(",", ":"))
    return b64encode(bz2.compress(text.encode("ascii"))).decode("ascii")


def _beginning(one: str, other: str) -> str:
    """What both begin with."""
    end = next((position for position, (mine, its) in enumerate(zip(one, other, strict=False)) if mine != its), len(one))
    return one[:end]


def _unpacked(compressed: str, where: str) -> tuple[list[tuple[str, ...]], Mapping[str, Sequence[int]]]:
    decompressor = bz2.BZ2Decompressor()
    try:
        text = decompressor.decompress(b64decode(compressed, validate=True), MOST_BYTES)
        data = json.loads(text) if decompressor.eof else None
    except (binascii.Error, OSError, ValueError, RecursionError) as error:
        raise DecodeError(f"the test IDs of {where} cannot be unpacked: {error}", hint=_CHANGED) from error
    match data:
        case {"ids": list(units), "groups": dict(groups)} if all(map(_is_unit, units)):
            return [tuple(unit[0] + rest for rest in unit[1:]) for unit in units], groups
    what = f"the test IDs of {where} are cut off, above {MOST_BYTES >> 20} MiB, or not what a plan holds"
    raise DecodeError(what, hint=_CHANGED)


def _is_unit(unit: object) -> bool:
    return isinstance(unit, list) and bool(unit) and all(type(rest) is str for rest in unit)


def _check(whose: str, test_ids: Sequence[str], count: int, digest: str) -> None:
    if len(test_ids) != count or digest_of(test_ids) != digest:
        raise DecodeError(f"{whose} holds {len(test_ids)} test ID(s), which are not the {count} of its digest", hint=_CHANGED)


def _groups_of(groups: Mapping[str, object], test_ids: Sequence[str], where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, positions in groups.items():
        if not isinstance(positions, list) or not all(_is_position(position, len(test_ids)) for position in positions):
            raise DecodeError(f"group {name!r:.80} of {where} names tests that the plan does not hold", hint=_CHANGED)
        found.update((test_ids[position], name) for position in positions)
    return found


def _is_position(position: object, count: int) -> bool:
    return type(position) is int and 0 <= position < count
