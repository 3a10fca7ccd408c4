"""Signatures that differ in data only: near twins, and one sentence with values in its gaps. Pure."""

import itertools
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher

from ci_tools.reports.grievance import Group, merge_by
from ci_tools.reports.roots import links_of

NEAR = 0.90
"""How alike two masked messages of one type must be to count as one (1 is equal)."""

FEW_TWINS = 8
"""Twins with the same firm words that a message is compared with; more are found in no real report."""

LONGEST_SENTENCE = 40
"""Words of a message in which one may be data by its many values; longer ones are dumps, not sentences."""

MANY_VALUES = 5
"""From this many different words in one place on, the place is data (names, hosts) and no longer tells causes apart."""

FEWEST_KIN = 3
"""From this many variants of one sentence, raised at one place, on it may be one sentence with values in it."""

MOST_REPEATED = 2.5
"""Failures for each variant of such a sentence, at most: values vary from test to test, names come back."""

MOST_REPEATED_QUOTED = 1.5
"""The same for what is quoted: a name, if it comes back at all."""

FEWEST_WORDS = 4
"""Words of such a sentence, and all but one of them the same in all variants: shorter ones say too little."""


def merge_near(groups: Sequence[Group]) -> list[Group]:
    """Join signatures of one type, one set of hard tokens and one place whose messages differ only in data."""
    buckets: dict[tuple[object, ...], list[Group]] = {}
    for group in _merge_kinds(_merge_programs(_merge_missing(_merge_families(groups)))):
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
            twin.take(group)
        for shape in shapes:
            by_shape.setdefault(shape, twin)
    return kept


def _merge_families(groups: Sequence[Group]) -> Sequence[Group]:
    """Join what shared code of the project said itself in one sentence with many words for its gaps, each met hardly twice.

    A name that tells causes apart (a column, a variable) comes back in failure after failure; a value does not.
    """
    families: dict[tuple[object, ...], list[list[Group]]] = {}
    for group in groups:
        signature = group.signature
        words = signature.masked.split(" ")
        if signature.place and not signature.test and FEWEST_WORDS <= len(words) <= LONGEST_SENTENCE:
            firm = tuple(token for token in signature.hard if token[0] not in _QUOTES)
            key = (signature.type_name, signature.place, firm, signature.details, signature.server, len(words))
            _add_to_family(group, words, families.setdefault(key, []))
    joined: set[int] = set()
    for family in itertools.chain.from_iterable(families.values()):
        if not _are_values(family):
            continue
        first, *others = family
        for other in others:
            first.take(other)
            joined.add(id(other))
    return [group for group in groups if id(group) not in joined] if joined else groups


def _merge_missing(groups: Sequence[Group]) -> Sequence[Group]:
    """Join files of one kind that one folder has not, each name met hardly twice: the folder is not filled."""

    def folder(group: Group) -> Hashable:
        signature = group.signature
        names = [token for token in signature.hard if token[0] == "'"]
        if signature.type_name != "FileNotFoundError" or len(names) != 1 or signature.details or "." not in names[0]:
            return None
        message = links_of(group.members[0].failure)[0].message
        found = re.search(rf"([^/\\'\"]+)[/\\]{re.escape(names[0][1:-1])}(?![\w.])", message)
        return (found[1], names[0].rpartition(".")[2], signature.place, signature.context) if found else None

    return merge_by(groups, folder, _are_hardly_met_twice)


def _merge_programs(groups: Sequence[Group]) -> Sequence[Group]:
    """Join what one program ended with where what stands behind its name is data (met hardly twice), or is left out."""

    def program(group: Group) -> Hashable:
        named, *end = group.signature.hard or ("",)
        is_program = len(end) == 1 and group.signature.masked == f"{named.strip(_QUOTES)} {end[0]}"
        return (named.strip(_QUOTES).partition(" ")[0], end[0]) if is_program else None

    def is_one(kin: Sequence[Group]) -> bool:
        bare = [group for group in kin if " " not in group.signature.hard[0]]
        return len(kin) - len(bare) == 1 or _are_hardly_met_twice(kin)

    return merge_by(groups, program, is_one)


def _merge_kinds(groups: Sequence[Group]) -> Sequence[Group]:
    """Join values that one enumeration lacks, each met hardly twice: they are data, and their source is wrong."""

    def kind(group: Group) -> Hashable:
        found = _LACKED.search(group.signature.masked)
        return found[1] if found and group.signature.type_name == "ValueError" else None

    return merge_by(groups, kind, lambda kin: sum(len(group.members) for group in kin) <= MOST_REPEATED * len(kin))


_LACKED = re.compile(r"(?:^|' )is not a valid ([A-Z]\w*)$")


def _are_hardly_met_twice(kin: Sequence[Group]) -> bool:
    """Whether these are several, and hardly any comes back: then what tells them apart is data."""
    return len(kin) >= FEWEST_KIN and sum(len(group.members) for group in kin) <= MOST_REPEATED * len(kin)


def _add_to_family(group: Group, words: Sequence[str], families: list[list[Group]]) -> None:
    for family in families:
        if _is_one_sentence(words, family[0].signature.masked.split(" ")):
            family.append(group)
            return
    families.append([group])


def _are_values(family: Sequence[Group]) -> bool:
    """Whether what differs between the variants of a sentence are values; what stands in quotes has to vary more."""
    failures = sum(len(group.members) for group in family)
    quoted = len({group.signature.hard for group in family})
    if quoted > 1:
        return quoted >= MANY_VALUES and failures <= MOST_REPEATED_QUOTED * quoted
    return len({_fillings(group) for group in family}) >= FEWEST_KIN and failures <= MOST_REPEATED * len(family)


def _fillings(group: Group) -> tuple[str, ...]:
    return tuple("\0" if _is_data(word) else word for word in group.signature.masked.split(" "))


def _is_one_sentence(words: Sequence[str], others: Sequence[str]) -> bool:
    """Whether most words that are no data are the same in both, and what differs looks like no name of the code."""
    pairs = [*zip(words, others, strict=True)]
    same = sum(word == other and not _is_data(word) for word, other in pairs)
    differing = [word for pair in pairs if pair[0] != pair[1] for word in pair]
    return same >= FEWEST_WORDS - 1 and 2 * same >= len(pairs) and not any(_IS_NAME.search(word) for word in differing)


_QUOTES = "'\"`"
_IS_NAME = re.compile(r"[a-z][_A-Z]|[A-Za-z][./][a-z]|\A\W*[A-Z_]{3,}\W*\Z")
"""A word as code spells it: ``user_id``, ``userId``, ``app.db``, ``DATABASE``."""


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
        return all(
            word == other or (_is_data(word) and _is_data(other) and not _are_two_names(word, other))
            for word, other in zip(words, others, strict=True)
        )
    return SequenceMatcher(None, words, others, autojunk=False).ratio() >= NEAR


def _is_data(word: str) -> bool:
    """Whether a word is something that was filled in: it holds a mask or a digit, or is no word at all."""
    return "<" in word or any(character.isdigit() for character in word) or not any(character.isalpha() for character in word)


def _are_two_names(word: str, other: str) -> bool:
    """Whether both name something, with numbers or not (a file, a host, a package and its version), and not the same."""
    names, others = _names_in(word), _names_in(other)
    return bool(names) and bool(others) and names != others


def _names_in(word: str) -> list[str]:
    """What in a word with masks or digits is firm; nothing where it is how an object shows itself."""
    plain = _MASK.sub("0", word)
    return [] if "<" in plain else _NAMES.findall(plain)


_MASK = re.compile(r"<[a-z]+>")
_NAMES = re.compile(r"(?<![A-Za-z0-9])(?:[A-Za-z]{3,}|v\d{1,2}(?!\.))(?![A-Za-z0-9])")
