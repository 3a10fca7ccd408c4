"""Failures that have one cause: alike by their signatures, and told apart by what the wording leaves open.

Pure: failures with their signatures in, groups of them out.
"""

import builtins
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

from ci_tools.model.case import Failure, Outcome
from ci_tools.reports.signatures import Signature, port_of, raising_fixture
from ci_tools.reports.wording import FIRST_EPHEMERAL_PORT

NEAR = 0.90
"""How alike two masked messages of one type must be to count as one (1 is equal)."""

FEW_TWINS = 8
"""Twins with the same firm words that a message is compared with; more are found in no real report."""

LONGEST_SENTENCE = 40
"""Words of a message in which one may be data by its many values; longer ones are dumps, not sentences."""

MANY_VALUES = 5
"""From this many different words in one place on, the place is data (names, hosts) and no longer tells causes apart."""


@dataclass(frozen=True, slots=True)
class Grievance:
    """One failure of one test, or of one file that could not be collected."""

    test_id: str
    failure: Failure
    signature: Signature
    shard: str
    configuration: str
    outcome: Outcome
    servers: tuple[str, ...] = ()
    is_file: bool = False
    started_at: float = 0.0


@dataclass(slots=True)
class Group:
    """The failures of one cause, and every signature that they have."""

    signature: Signature
    members: list[Grievance] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)


def groups_of(grievances: Sequence[Grievance]) -> list[Group]:
    """The failures by their cause, in no order that means anything."""
    groups = _merge_near(_group(_with_servers(grievances)))
    return _merge_parametrized(_merge_fixtures(_split_contexts(_split_places(_split_types(groups)))))


# Servers.

MANY_PORTS = 5
"""From this many different ports in one kind of failure on, they may be handed out and not chosen."""

KNOWN_PORTS = frozenset(
    {80, 443, 1433, 1521, 1883, 2181, 2379, 3000, 3306, 4222, 4317, 5000, 5432, 5672, 6379, 8000, 8080, 8086, 8500, 9000, 9092}
    | {9200, 11211, 15672}
)
"""Ports of well-known services: nobody is handed one."""


def _with_servers(grievances: Sequence[Grievance]) -> list[Grievance]:
    """Each failure with the server that it was about, where its port was chosen: a port that was handed out is noise."""
    alike: dict[Signature, list[Grievance]] = {}
    for grievance in grievances:
        alike.setdefault(grievance.signature, []).append(grievance)
    shared = _shared(grievances)
    found: list[Grievance] = []
    for signature, members in alike.items():
        shards_of: dict[str, set[str]] = {}
        for member in members:
            for server in member.servers:
                shards_of.setdefault(server, set()).add(member.shard)
        chosen = _chosen(shards_of, len(members)) | (shared & shards_of.keys())
        fixed = {server: signature.of_server(server) for server in chosen}
        found.extend(_with_server(member, fixed) if fixed else member for member in members)
    return _with_only_server(found)


def _with_only_server(grievances: Sequence[Grievance]) -> list[Grievance]:
    """What a client did not name its server for joins the only server of which the same file says the same."""
    known: dict[str, set[Signature]] = {}
    for grievance in grievances:
        signature = grievance.signature
        if signature.fault and signature.server:
            known.setdefault(signature.fault, set()).add(signature)
    if not known:
        return list(grievances)
    only = {fault: next(iter(signatures)) for fault, signatures in known.items() if len(signatures) == 1}
    return [
        replace(one, signature=only[one.signature.fault])
        if not (one.signature.server or one.servers) and one.signature.fault in only
        else one
        for one in grievances
    ]


def _shared(grievances: Iterable[Grievance]) -> set[str]:
    """The servers that two shards speak of, in whatever words: nobody hands out one port twice."""
    shards_of: dict[str, str] = {}
    shared = set()
    for grievance in grievances:
        for server in grievance.servers:
            if shards_of.setdefault(server, grievance.shard) != grievance.shard:
                shared.add(server)
    return shared


def _with_server(grievance: Grievance, fixed: Mapping[str, Signature]) -> Grievance:
    server = next((server for server in grievance.servers if server in fixed), "")
    return replace(grievance, signature=fixed[server]) if server else grievance


def _chosen(shards_of: dict[str, set[str]], count: int) -> set[str]:
    """The servers on ports that somebody chose: well-known ones, those that two shards share, low ones unless they are many."""
    is_scattered = len(shards_of) >= MANY_PORTS and len(shards_of) * 3 > count
    return {
        server
        for server, shards in shards_of.items()
        if port_of(server) in KNOWN_PORTS or len(shards) > 1 or (port_of(server) < FIRST_EPHEMERAL_PORT and not is_scattered)
    }


def _group(grievances: Iterable[Grievance]) -> list[Group]:
    groups: dict[Signature, Group] = {}
    for grievance in grievances:
        group = groups.get(grievance.signature)
        if group is None:
            group = groups[grievance.signature] = Group(grievance.signature, aliases={grievance.signature.id})
        group.members.append(grievance)
    return list(groups.values())


# Near-identical signatures.


def _merge_near(groups: Sequence[Group]) -> list[Group]:
    """Join signatures of one type, one set of hard tokens and one place whose messages differ only in data."""
    buckets: dict[tuple[object, ...], list[Group]] = {}
    for group in groups:
        signature = group.signature
        name = signature.type_name.rpartition(".")[2]
        key = (name, signature.hard, signature.details, signature.server, signature.test and signature.place)
        buckets.setdefault(key, []).append(group)
    merged: list[Group] = []
    for bucket in buckets.values():
        bucket.sort(key=lambda group: (-len(group.members), group.signature.id))
        merged.extend(_merge_bucket(bucket))
    return merged


def _merge_bucket(bucket: list[Group]) -> list[Group]:
    """Join near twins. Looked up by the words that must be equal: a bucket may hold thousands that are no twins."""
    kept: list[Group] = []
    by_firm_words: dict[tuple[str, ...], list[Group]] = {}
    by_shape: dict[tuple[str, ...], Group] = {}
    data = _data_places(bucket)
    for group in bucket:
        words = group.signature.masked.split(" ")
        same = by_firm_words.setdefault(tuple(word for word in words if not _is_data(word)), [])
        shapes = [shape for shape in _shapes(words) if shape in data] if data else []
        twin = next((other for other in same[:FEW_TWINS] if _is_near(words, other.signature.masked.split(" "))), None)
        twin = twin or next((by_shape[shape] for shape in shapes if shape in by_shape), None)
        if twin is None:
            twin = group
            kept.append(group)
            same.append(group)
        else:
            twin.members.extend(group.members)
            twin.aliases |= group.aliases
        for shape in shapes:
            by_shape.setdefault(shape, twin)
    return kept


def _data_places(bucket: Sequence[Group]) -> set[tuple[str, ...]]:
    """Message shapes with one open place that is filled with many different words: there, words are data."""
    if len(bucket) < MANY_VALUES:
        return set()
    fillings = Counter(shape for group in bucket for shape in _shapes(group.signature.masked.split(" ")))
    return {shape for shape, count in fillings.items() if count >= MANY_VALUES}


def _shapes(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The message with each of its words left out in turn; long ones are no sentences and have none."""
    if len(words) <= LONGEST_SENTENCE:
        yield from ((*words[:index], "\0", *words[index + 1 :]) for index in range(len(words)))


def _is_near(words: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two messages with the same firm words, in order, differ in little else than data."""
    if len(words) == len(others):
        return all(word == other or (_is_data(word) and _is_data(other)) for word, other in zip(words, others, strict=True))
    return SequenceMatcher(None, words, others, autojunk=False).ratio() >= NEAR


def _is_data(word: str) -> bool:
    """Whether a word is something that was filled in: it holds a mask or a digit, or is no word at all."""
    return "<" in word or any(character.isdigit() for character in word) or not any(character.isalpha() for character in word)


# What tells failures with one wording apart.


def _split_types(groups: Iterable[Group]) -> Iterator[Group]:
    """Part types of one name in different modules; a bare name that is no built-in joins the only module there is."""
    for group in groups:
        yield from _split(group, lambda signature: "" if _is_short(signature.type_name) else signature.type_name)


def _is_short(type_name: str) -> bool:
    return "." not in type_name and not hasattr(builtins, type_name)


def _split_places(groups: Iterable[Group]) -> Iterator[Group]:
    """Part what was raised in different places; a failure without a place joins the only one there is."""
    for group in groups:
        yield from _split(group, lambda signature: signature.place)


def _split_contexts(groups: Iterable[Group]) -> Iterator[Group]:
    """Part what was raised from roots alike in different contexts; one that goes less far out joins the only longer one."""
    for group in groups:
        yield from _split(group, lambda signature: signature.context, joint=" < ")


def _split(group: Group, aspect: Callable[[Signature], str], joint: str = "") -> Iterator[Group]:
    values = {aspect(member.signature) for member in group.members}
    if len(values) <= 1:
        yield group
        return
    longest = {value: _longest(value, values, joint) for value in values}
    if len(set(longest.values())) == 1:
        yield group
        return
    parts: dict[str, list[Grievance]] = {}
    for member in group.members:
        parts.setdefault(longest[aspect(member.signature)], []).append(member)
    for members in parts.values():
        known = Counter(member.signature for member in members)
        signature = min(known, key=lambda one: (-known[one], one.id))
        yield Group(signature, members, {one.id for one in known})


def _longest(value: str, values: set[str], joint: str) -> str:
    """The only value that goes on where this one ends; itself where there is none or a choice."""
    further = {other for other in values if other != value and (not value or (joint and other.startswith(value + joint)))}
    ends = {other for other in further if not any(joint and one.startswith(other + joint) for one in further)}
    return next(iter(ends)) if len(ends) == 1 else value


def _merge_parametrized(groups: Iterable[Group]) -> list[Group]:
    """Join what one line of one test function compared, with whatever values: its parameters are data."""
    merged: list[Group] = []
    by_line: dict[tuple[object, ...], Group] = {}
    for group in groups:
        lines = {(member.signature.test, member.signature.place) for member in group.members}
        ((test, place), *others) = lines
        if not test or others:
            merged.append(group)
            continue
        firm = tuple(token for token in group.signature.hard if token[0] not in "'\"`")
        twin = by_line.setdefault((test, place, firm), group)
        if twin is group:
            merged.append(group)
        else:
            twin.members.extend(group.members)
            twin.aliases |= group.aliases
            twin.signature = min(twin.signature, group.signature, key=lambda one: one.id)
    return merged


# Fixtures.


def _merge_fixtures(groups: Iterable[Group]) -> list[Group]:
    """Join what one fixture raised with one type and the same hard tokens, however its words differ."""
    merged: dict[tuple[object, ...], Group] = {}
    rest: list[Group] = []
    for group in groups:
        fixture = fixture_of_all(group)
        if fixture is None:
            rest.append(group)
            continue
        signature = group.signature
        key = (fixture, signature.type_name, signature.hard, signature.details, signature.context, signature.server)
        twin = merged.get(key)
        if twin is None:
            merged[key] = group
        else:
            twin.members.extend(group.members)
            twin.aliases |= group.aliases
            if group.signature.id < twin.signature.id:
                twin.signature = group.signature
    return [*merged.values(), *rest]


def fixture_of_all(group: Group) -> tuple[str, str, str] | None:
    """Name, scope and path of the fixture that raised every failure of the group; None where there is none or several."""
    fixtures = {raising_fixture(member.failure) for member in group.members}
    return next(iter(fixtures)) if len(fixtures) == 1 else None
