"""Failures that have one cause: alike by their signatures, and told apart by what the wording leaves open.

Pure: failures with their signatures in, groups of them out.
"""

import builtins
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ci_tools.reports.grievance import Grievance, Group
from ci_tools.reports.kin import merge_kin
from ci_tools.reports.places import raising_fixture
from ci_tools.reports.protocols import PROTOCOLS
from ci_tools.reports.reached import merge_reached
from ci_tools.reports.servers import servers_of_files, with_servers
from ci_tools.reports.signatures import GARBLED, Signature
from ci_tools.reports.twins import merge_near


def groups_of(grievances: Sequence[Grievance], root: str = "") -> list[Group]:
    """The failures by their cause, in no order that means anything; paths below ``root`` are made relative to it."""
    grievances = sorted(grievances, key=_place_in_order)
    groups = merge_near(_group(with_servers(grievances, root)))
    if any(group.members[0].contact.fault == GARBLED for group in groups):
        groups = _merge_garbled(groups, servers_of_files(grievances, root))
    groups = _merge_parametrized(_merge_fixtures(_split_ports(_split_contexts(_split_places(_split_types(groups))))))
    return merge_reached(merge_kin(groups))


def _place_in_order(grievance: Grievance) -> tuple[str, ...]:
    """What comes first must not depend on which file was read first."""
    return grievance.configuration, grievance.test_id, grievance.failure.phase, grievance.failure.message


def _group(grievances: Iterable[Grievance]) -> list[Group]:
    groups: dict[Signature, Group] = {}
    for grievance in grievances:
        group = groups.get(grievance.signature)
        if group is None:
            group = groups[grievance.signature] = Group(grievance.signature, aliases={grievance.signature.id})
        group.members.append(grievance)
    return list(groups.values())


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
        yield from _split(group, _whereabouts, joint=":'")


def _whereabouts(signature: Signature) -> str:
    """The place; for a refusal without one, what its client speaks."""
    return signature.place or (f" {signature.context}" if signature.is_refused and signature.context in PROTOCOLS else "")


def _split_contexts(groups: Iterable[Group]) -> Iterator[Group]:
    """Part what was raised from roots alike in different contexts; one that goes less far out joins the only longer one."""
    for group in groups:
        yield from _split(group, lambda signature: signature.context, joint=" < ")


def _split_ports(groups: Iterable[Group]) -> Iterator[Group]:
    """Part what wide fixtures were set up for by one function: in each shard each of them has its own port."""
    for group in groups:
        fixture_at = _fixtures_by_port(group.members)
        if len(set(fixture_at.values())) <= 1:
            yield group
            continue
        parts: dict[str, list[Grievance]] = {}
        for member in group.members:
            fixture = _wide_fixture(member) or next(
                (fixture_at[at] for server in member.contact.servers if (at := (member.shard, server)) in fixture_at), ""
            )
            parts.setdefault(fixture, []).append(member)
        for fixture, members in parts.items():
            signature = replace(group.signature, context=f"fixture {fixture}") if fixture else group.signature
            yield Group(signature, members, {signature.id})


def _fixtures_by_port(members: Sequence[Grievance]) -> dict[tuple[str, str], str]:
    """The fixture that asked each server in each shard; empty where two asked one, or one asked two."""
    found: dict[tuple[str, str], set[str]] = {}
    asked: dict[tuple[str, str], set[str]] = {}
    for member in members:
        fixture = _wide_fixture(member)
        for server in member.contact.servers if fixture else ():
            found.setdefault((member.shard, server), set()).add(fixture)
            asked.setdefault((member.shard, fixture), set()).add(server)
    is_clear = all(len(one) == 1 for one in (*found.values(), *asked.values()))
    return {at: next(iter(fixtures)) for at, fixtures in found.items()} if is_clear else {}


def _wide_fixture(member: Grievance) -> str:
    """The fixture that raised, if more than one test shares it."""
    fixture = raising_fixture(member.failure)
    return fixture[0] if fixture and fixture[1] != "function" and not member.signature.server else ""


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
            twin.take(group)
            twin.signature = min(twin.signature, group.signature, key=lambda one: one.id)
    return merged


def _merge_garbled(groups: Sequence[Group], servers_of: Mapping[str, set[str]]) -> list[Group]:
    """Join what one file could not read of a server's answers, in whichever function, where it speaks to no two servers."""
    merged: list[Group] = []
    by_file: dict[tuple[str, str], Group] = {}
    for group in groups:
        path, _, function = group.signature.place.partition(":")
        if (
            group.members[0].contact.fault != GARBLED
            or not function
            or function.startswith("'")
            or len(servers_of.get(path, ())) > 1
        ):
            merged.append(group)
            continue
        twin = by_file.setdefault((group.signature.type_name, path), group)
        if twin is group:
            merged.append(group)
        else:
            twin.take(group)
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
            twin.take(group)
            if group.signature.id < twin.signature.id:
                twin.signature = group.signature
    return [*merged.values(), *rest]


def fixture_of_all(group: Group) -> tuple[str, str, str] | None:
    """Name, scope and path of the fixture that raised every failure of the group; None where there is none or several."""
    fixtures = {raising_fixture(member.failure) for member in group.members}
    return next(iter(fixtures)) if len(fixtures) == 1 else None
