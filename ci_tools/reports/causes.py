"""Groups failures and errors by root cause: what to fix first, and how many tests that gives back.

Works on our journals (exception chains, fixtures) and on any JUnit file (text only). Pure: report in, causes out.
"""

import builtins
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher

from ci_tools.model.case import Attempt, Case, Failure, Outcome, Phase
from ci_tools.model.report import CollectionError, RunReport
from ci_tools.model.verdict import Cause
from ci_tools.reports.roots import root_of
from ci_tools.reports.signatures import Signature, base_of, port_of, relative
from ci_tools.reports.wording import FIRST_EPHEMERAL_PORT

LONGEST_TITLE = 160
"""Characters of a cause's title: one line of a terminal or a table."""

NEAR = 0.90
"""How alike two masked messages of one type must be to count as one (1 is equal)."""

FEW_TWINS = 8
"""Twins with the same firm words that a message is compared with; more are found in no real report."""

LONGEST_SENTENCE = 40
"""Words of a message in which one may be data by its many values; longer ones are dumps, not sentences."""

MANY_VALUES = 5
"""From this many different words in one place on, the place is data (names, hosts) and no longer tells causes apart."""


def find_causes(report: RunReport, *, root: str = "") -> tuple[Cause, ...]:
    """The root causes of everything in ``report`` that is not green, the one that unblocks most tests first.

    Paths in texts below ``root`` are shown relative to it. A test whose call and tear-down failed for two reasons is in
    two causes. Lost tests have the shard that did not report them as their cause.
    """
    groups = _merge_near(_group(_with_servers([*_grievances(report, root)])))
    groups = _merge_parametrized(_merge_fixtures(_split_contexts(_split_places(_split_types(groups)))))
    shards = {shard.shard for shard in report.shards}
    causes = [_cause(group, shards, root) for group in groups]
    # Of two that block as many, a file first: how many tests it hides nobody knows.
    return tuple(sorted(causes, key=lambda cause: (-len(cause.tests), " file" not in cause.blocks, cause.signature, cause.title)))


@dataclass(frozen=True, slots=True)
class _Grievance:
    """One failure of one test, or of one file that could not be collected."""

    test_id: str
    failure: Failure
    signature: Signature
    shard: str
    configuration: str
    outcome: Outcome
    is_file: bool = False
    started_at: float = 0.0


@dataclass(slots=True)
class _Group:
    """The failures of one cause, and every signature that they have."""

    signature: Signature
    members: list[_Grievance] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)


def _grievances(report: RunReport, root: str) -> Iterable[_Grievance]:
    for error in report.collection_errors:
        yield _of_file(error, root)
    for case in report.cases:
        if case.outcome.is_green:
            continue
        attempt = case.attempts[-1]
        for failure in attempt.failures or (_wordless(attempt),):
            yield _of_test(case, attempt, failure, root)


def _of_file(error: CollectionError, root: str) -> _Grievance:
    return _Grievance(
        error.path,
        error.failure,
        base_of(error.failure, root=root),
        error.shard,
        error.configuration,
        Outcome.ERROR,
        is_file=True,
    )


def _of_test(case: Case, attempt: Attempt, failure: Failure, root: str) -> _Grievance:
    signature = base_of(failure, root=root, test=case.test_id)
    if attempt.outcome in {Outcome.TIMED_OUT, Outcome.CRASHED} and not failure.chain:
        signature = _of_ended(signature, attempt, case)
    return _Grievance(
        case.test_id, failure, signature, attempt.shard, case.configuration, attempt.outcome, started_at=attempt.started_at
    )


def _wordless(attempt: Attempt) -> Failure:
    """What stands for a failure that nobody recorded: an outcome and a reason."""
    return Failure(phase=Phase.CALL, type_name=attempt.outcome.value, message=attempt.reason or attempt.outcome.value)


_STACK_FRAME = re.compile(r'^\s*File "([^"\n]+)", line \d+, in (\S+)', re.MULTILINE)
_LIBRARY = re.compile(r"site-packages|dist-packages|[\\/]lib[\\/]python\d|[\\/]Lib[\\/]|hostedtoolcache|<frozen|\A<")


def _of_ended(signature: Signature, attempt: Attempt, case: Case) -> Signature:
    """A test that hung or took its process down: where it stood tells the cause, the message only that it ended."""
    own = [place for place in _STACK_FRAME.findall(attempt.stacks) if not _LIBRARY.search(place[0])]
    place = f"{own[-1][0]}:{own[-1][1]}" if own else case.test_id
    return replace(signature, type_name=attempt.outcome.value, place=place)


# Servers.

MANY_PORTS = 5
"""From this many different ports in one kind of failure on, they may be handed out and not chosen."""

KNOWN_PORTS = frozenset(
    {80, 443, 1433, 1521, 1883, 2181, 2379, 3000, 3306, 4222, 4317, 5000, 5432, 5672, 6379, 8000, 8080, 8086, 8500, 9000, 9092}
    | {9200, 11211, 15672}
)
"""Ports of well-known services: nobody is handed one."""


def _with_servers(grievances: Sequence[_Grievance]) -> list[_Grievance]:
    """Each failure with the server that it was about, where its port was chosen: a port that was handed out is noise."""
    alike: dict[Signature, list[_Grievance]] = {}
    for grievance in grievances:
        alike.setdefault(grievance.signature, []).append(grievance)
    found: list[_Grievance] = []
    for signature, members in alike.items():
        shards_of: dict[str, set[str]] = {}
        for member in members:
            for server in member.signature.servers:
                shards_of.setdefault(server, set()).add(member.shard)
        fixed = {server: signature.of_server(server) for server in _chosen(shards_of, len(members))}
        found.extend(_with_server(member, fixed) if fixed else member for member in members)
    return found


def _with_server(grievance: _Grievance, fixed: Mapping[str, Signature]) -> _Grievance:
    server = next((server for server in grievance.signature.servers if server in fixed), "")
    return replace(grievance, signature=fixed[server]) if server else grievance


def _chosen(shards_of: dict[str, set[str]], count: int) -> set[str]:
    """The servers on ports that somebody chose: well-known ones, those that two shards share, low ones unless they are many."""
    is_scattered = len(shards_of) >= MANY_PORTS and len(shards_of) * 3 > count
    return {
        server
        for server, shards in shards_of.items()
        if port_of(server) in KNOWN_PORTS or len(shards) > 1 or (port_of(server) < FIRST_EPHEMERAL_PORT and not is_scattered)
    }


def _group(grievances: Iterable[_Grievance]) -> list[_Group]:
    groups: dict[Signature, _Group] = {}
    for grievance in grievances:
        group = groups.get(grievance.signature)
        if group is None:
            group = groups[grievance.signature] = _Group(grievance.signature, aliases={grievance.signature.id})
        group.members.append(grievance)
    return list(groups.values())


# Near-identical signatures.


def _merge_near(groups: Sequence[_Group]) -> list[_Group]:
    """Join signatures of one type, one set of hard tokens and one place whose messages differ only in data."""
    buckets: dict[tuple[object, ...], list[_Group]] = {}
    for group in groups:
        signature = group.signature
        name = signature.type_name.rpartition(".")[2]
        key = (name, signature.hard, signature.details, signature.server, signature.test and signature.place)
        buckets.setdefault(key, []).append(group)
    merged: list[_Group] = []
    for bucket in buckets.values():
        bucket.sort(key=lambda group: (-len(group.members), group.signature.id))
        merged.extend(_merge_bucket(bucket))
    return merged


def _merge_bucket(bucket: list[_Group]) -> list[_Group]:
    """Join near twins. Looked up by the words that must be equal: a bucket may hold thousands that are no twins."""
    kept: list[_Group] = []
    by_firm_words: dict[tuple[str, ...], list[_Group]] = {}
    by_shape: dict[tuple[str, ...], _Group] = {}
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


def _data_places(bucket: Sequence[_Group]) -> set[tuple[str, ...]]:
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


def _split_types(groups: Iterable[_Group]) -> Iterator[_Group]:
    """Part types of one name in different modules; a bare name that is no built-in joins the only module there is."""
    for group in groups:
        yield from _split(group, lambda signature: "" if _is_short(signature.type_name) else signature.type_name)


def _is_short(type_name: str) -> bool:
    return "." not in type_name and not hasattr(builtins, type_name)


def _split_places(groups: Iterable[_Group]) -> Iterator[_Group]:
    """Part what was raised in different places; a failure without a place joins the only one there is."""
    for group in groups:
        yield from _split(group, lambda signature: signature.place)


def _split_contexts(groups: Iterable[_Group]) -> Iterator[_Group]:
    """Part what was raised from roots alike in different contexts; one that goes less far out joins the only longer one."""
    for group in groups:
        yield from _split(group, lambda signature: signature.context, joint=" < ")


def _split(group: _Group, aspect: Callable[[Signature], str], joint: str = "") -> Iterator[_Group]:
    values = {aspect(member.signature) for member in group.members}
    if len(values) <= 1:
        yield group
        return
    longest = {value: _longest(value, values, joint) for value in values}
    if len(set(longest.values())) == 1:
        yield group
        return
    parts: dict[str, list[_Grievance]] = {}
    for member in group.members:
        parts.setdefault(longest[aspect(member.signature)], []).append(member)
    for members in parts.values():
        known = Counter(member.signature for member in members)
        signature = min(known, key=lambda one: (-known[one], one.id))
        yield _Group(signature, members, {one.id for one in known})


def _longest(value: str, values: set[str], joint: str) -> str:
    """The only value that goes on where this one ends; itself where there is none or a choice."""
    further = {other for other in values if other != value and (not value or (joint and other.startswith(value + joint)))}
    ends = {other for other in further if not any(joint and one.startswith(other + joint) for one in further)}
    return next(iter(ends)) if len(ends) == 1 else value


def _merge_parametrized(groups: Iterable[_Group]) -> list[_Group]:
    """Join what one line of one test function compared, with whatever values: its parameters are data."""
    merged: list[_Group] = []
    by_line: dict[tuple[object, ...], _Group] = {}
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


def _merge_fixtures(groups: Iterable[_Group]) -> list[_Group]:
    """Join what one fixture raised with one type and the same hard tokens, however its words differ."""
    merged: dict[tuple[object, ...], _Group] = {}
    rest: list[_Group] = []
    for group in groups:
        fixture = _fixture_of_all(group)
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


_FIXTURE = re.compile(
    r"@(?:pytest|pytest_asyncio|anyio)\.fixture(\([^)]*\))?[^\n]*\n(?:[> ]?\s*@[^\n]*\n)*[> ]?\s*(?:async )?def (\w+)\(",
    re.MULTILINE,
)
_SCOPE = re.compile(r"""scope\s*=\s*["'](\w+)["']""")


def _fixture(failure: Failure) -> tuple[str, str, str] | None:
    """Name, scope and path of the fixture that raised; out of the traceback's source lines where nobody recorded it."""
    if failure.fixture:
        return failure.fixture, failure.fixture_scope or "function", failure.fixture_path or ""
    if failure.phase not in {Phase.SETUP, Phase.TEARDOWN} or "fixture" not in failure.text:
        return None
    found = _FIXTURE.findall(failure.text)
    if not found:
        return None
    arguments, name = found[-1]
    scope = _SCOPE.search(arguments)
    return name, scope[1] if scope else "function", ""


def _fixture_of_all(group: _Group) -> tuple[str, str, str] | None:
    fixtures = {_fixture(member.failure) for member in group.members}
    return next(iter(fixtures)) if len(fixtures) == 1 else None


# The cause as it is shown.


def _cause(group: _Group, shards: set[str], root: str) -> Cause:
    members = sorted(group.members, key=lambda member: (member.configuration, member.test_id, member.outcome))
    example = members[0]
    tests = tuple(dict.fromkeys(member.test_id for member in members))
    hit = tuple(sorted({member.shard for member in members}))
    seen = [member.started_at for member in members if member.started_at]
    is_error = [member.is_file or member.failure.phase is not Phase.CALL or member.outcome in _ERRORS for member in members]
    return Cause(
        signature=group.signature.id,
        title=_title(group, example, root),
        tests=tests,
        failures=is_error.count(False),
        errors=is_error.count(True),
        example=example.failure,
        example_test=example.test_id,
        blocks=_blocks(members),
        location=_location(example.failure, root),
        shards=hit,
        spread=_spread(tests, hit, shards),
        command=_command(example),
        rule=group.signature.rule,
        first_seen=min(seen, default=0.0),
        configurations=tuple(sorted({member.configuration for member in members})),
        aliases=tuple(sorted(group.aliases - {group.signature.id})),
    )


_ERRORS = {Outcome.ERROR, Outcome.CRASHED, Outcome.LOST}


def _title(group: _Group, example: _Grievance, root: str) -> str:
    origin = root_of(example.failure)
    message = next((line.strip() for line in origin.message.splitlines() if line.strip()), "")
    said = f"{origin.type_name}: {message}" if message and origin.type_name not in {"", message} else message or origin.type_name
    fixture = _fixture_of_all(group)
    if all(member.is_file for member in group.members):
        said = f"`{_broken_module(example, root)}` cannot be imported: {message or origin.type_name}"
    elif fixture is not None:
        said = f"fixture `{fixture[0]}` ({fixture[1]}): {said}"
    elif example.outcome in {Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.LOST}:
        word = example.outcome.value.replace("_", " ")
        said = message if message.startswith(word) else f"{word}: {message or origin.message}"
    said = " ".join(said.split())
    return said if len(said) <= LONGEST_TITLE else said[: LONGEST_TITLE - 1] + "…"


_FROM_MODULE = re.compile(r"cannot import name .* from (?:partially initialized module )?'[^']+' .*?\(([^()\n]+)\)")


def _broken_module(example: _Grievance, root: str) -> str:
    """The file to mend: the module that lacks the name, else the innermost of ours that could not be executed."""
    origin = root_of(example.failure)
    if found := _FROM_MODULE.search(origin.message):
        return relative(found[1], root)
    frame = example.failure.frame or origin.frame
    return relative(frame.path, root) if frame else example.test_id


def _blocks(members: Sequence[_Grievance]) -> str:
    files = len({member.test_id for member in members if member.is_file})
    tests = len({(member.configuration, member.test_id) for member in members if not member.is_file})
    parts = [f"{count} {noun}{'s' * (count != 1)}" for count, noun in ((files, "file"), (tests, "test")) if count]
    return f"blocks {' and '.join(parts)}"


def _location(failure: Failure, root: str) -> str:
    frame = failure.frame or root_of(failure).frame
    return f"{relative(frame.path, root)}:{frame.line}" if frame else ""


def _spread(tests: Sequence[str], hit: Sequence[str], shards: set[str]) -> str:
    """One test: its code. Every shard: what all machines share. One of several shards: that machine."""
    if len(tests) == 1:
        return "code"
    if len(shards) > 1 and len(hit) == 1:
        return "machine"
    return "environment" if len(shards) > 1 and set(hit) >= shards else ""


def _command(example: _Grievance) -> str:
    path = example.test_id.partition("::")[0]
    return f"python -m pytest {shlex.quote(example.test_id)}" if path.endswith(".py") else ""
