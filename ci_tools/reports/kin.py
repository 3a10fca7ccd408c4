"""Failures that look at one wrong thing from several sides: a function, its plural, the key that it fills. Pure."""

import itertools
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ci_tools.reports.clients import STATUS
from ci_tools.reports.comparisons import line_of
from ci_tools.reports.folders import merge_folders
from ci_tools.reports.grievance import Group, merge_by
from ci_tools.reports.language import CALLED_OTHERWISE
from ci_tools.reports.places import is_test, places_of, short
from ci_tools.reports.roots import root_of
from ci_tools.reports.signatures import Signature
from ci_tools.reports.subjects import looked_at
from ci_tools.reports.templates import sentence_of
from ci_tools.reports.wording import RAISED_WITH


def merge_kin(groups: Sequence[Group]) -> list[Group]:
    """Join what several sides show of one fault."""
    for merge in (
        _merge_sentences,
        merge_folders,
        _merge_code,
        _merge_arguments,
        _merge_lines,
        _merge_keys,
        _merge_pages,
        _merge_views,
        _merge_shared,
        _merge_words,
        _merge_missed,
    ):
        groups = merge(groups)
    return [*groups]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a comparison looked at: a function, class or page by the words of its name, and keys of what came out.

    ``module`` is empty where none is known, ``words`` where a local variable is all that the line names.
    """

    module: str
    name: str
    words: frozenset[str]
    keys: frozenset[str]

    @property
    def is_function(self) -> bool:
        """Whether it is a function by the spelling of its name, and no class."""
        return bool(self.words) and not self.name[:1].isupper()


PAGE = "/"
_NAMED = re.compile(r"(?:((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)\.)?([A-Za-z_]\w*)")


def view_of(signature: Signature) -> View | None:
    """None for what is no comparison of a test."""
    if not signature.test:
        return None
    keys = frozenset(token.strip("'\"`") for token in signature.details)
    if named := _NAMED.fullmatch(signature.place):
        return View(module=named[1] or "", name=named[2], words=_words(named[2]), keys=keys)
    if signature.place.startswith("answer of /"):
        page = signature.place.removeprefix("answer of /")
        return View(module=PAGE, name=page, words=_words(page), keys=keys)
    return View(module="", name="", words=frozenset(), keys=keys | looked_at(signature.place.partition(".py:")[2]))


_PARTS = re.compile(r"[^\W_]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _words(name: str) -> frozenset[str]:
    return frozenset(_singular(part.lower()) for part in _PARTS.findall(_HUMPS.sub("_", name)))


def _singular(word: str) -> str:
    if len(word) > _SHORTEST and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > _SHORTEST and word.endswith("s") and not word.endswith("ss") else word


_SHORTEST = 3


def _merge_views(groups: Sequence[Group]) -> list[Group]:
    """Join what looks at a function through another of its name's words, through a page, or through the key that it fills.

    Only to the one function beside it that this can be: two that fit are no answer.
    """
    views = [(view, group) for group in groups if (view := view_of(group.signature))]
    bases = [(view, group) for view, group in views if view.is_function]
    target: dict[int, Group] = {}
    for view, group in sorted(views, key=lambda pair: (-len(pair[0].words), pair[1].signature.id)):
        fitting = [
            (base, other) for base, other in bases if other is not group and id(other) not in target and _shows(view, base)
        ]
        most = max((len(base.words) for base, _ in fitting), default=0)
        nearest = [other for base, other in fitting if len(base.words) == most]
        if len(nearest) == 1:
            target[id(group)] = nearest[0]
    for _, group in views:
        if id(group) in target:
            base = target[id(group)]
            while id(base) in target:
                base = target[id(base)]
            base.take(group)
    return [group for group in groups if id(group) not in target]


def _shows(view: View, base: View) -> bool:
    """Whether what is wrong in ``base`` is seen in ``view``."""
    is_near = view.module in {base.module, PAGE, ""}
    if not is_near:
        return False
    if len(view.keys) == 1 and not base.keys and (key := _words(next(iter(view.keys)))) <= base.words:
        return key == base.words or (bool(view.module) and not key <= view.words)
    if not view.words or not (base.keys <= view.keys):
        return False
    return _are_in(base.words, view.words) and (base.name, base.module) != (view.name, view.module)


def _are_in(words: frozenset[str], others: frozenset[str]) -> bool:
    """Whether each word is one of the others, or begins one or is begun by one (``ordinal``, ``ordinalize``)."""
    return len(words) <= len(others) and all(word in others or any(_is_begun(word, other) for other in others) for word in words)


def _is_begun(word: str, other: str) -> bool:
    shorter, longer = sorted((word, other), key=len)
    return len(shorter) >= _SHORTEST_STEM and longer.startswith(shorter)


_SHORTEST_STEM = 5


def _merge_missed(groups: Sequence[Group]) -> list[Group]:
    """Join keys that one place misses where one of them is data, and a key that is missed here and in what a test was given."""
    by_place: dict[Hashable, list[Group]] = {}
    by_key: dict[tuple[str, ...], list[Group]] = {}
    for group in groups:
        signature = group.signature
        if signature.type_name == "KeyError":
            by_key.setdefault(signature.details if signature.test else signature.hard, []).append(group)
            if signature.place and not signature.test:
                by_place.setdefault((signature.place, signature.context), []).append(group)
    joined: dict[int, Group] = {}
    for kin in by_place.values():
        if len(kin) > 1 and any(_is_data(group.signature) for group in kin):
            joined |= {id(group): kin[0] for group in kin[1:]}
    for key, kin in by_key.items():
        if key and len(kin) == 2 and sum(bool(group.signature.test) for group in kin) == 1:  # noqa: PLR2004 - here and there
            joined.setdefault(id(kin[1]), kin[0])
    for group in groups:
        if (base := joined.get(id(group))) is not None and id(base) not in joined:
            base.take(group)
        else:
            joined.pop(id(group), None)
    return [group for group in groups if id(group) not in joined]


def _is_data(signature: Signature) -> bool:
    """Whether the key that was missed is a number or an object, or a text with such in it."""
    return not signature.hard or "<" in signature.masked


def _merge_words(groups: Sequence[Group]) -> list[Group]:
    """Join what was raised with other words than a test expects to the one exception that is met with these words elsewhere."""
    by_words: dict[str, list[Group]] = {}
    for group in groups:
        by_words.setdefault(group.signature.masked, []).append(group)
    kept: list[Group] = []
    for group in groups:
        _, is_expected, words = group.signature.masked.partition(RAISED_WITH)
        found = by_words.get(words, []) if is_expected else []
        if len(found) == 1:
            found[0].take(group)
        else:
            kept.append(group)
    return kept


def _merge_shared(groups: Sequence[Group]) -> list[Group]:
    """Join what a line that tests share found wrong to the one thing that tests gave to this line."""
    given: dict[str, list[Group]] = {}
    for group in groups:
        if group.signature.test:
            ours = places_of(root_of(group.members[0].failure), "")
            if ours and not is_test(ours[-1]):
                given.setdefault(line_of(ours[-1]), []).append(group)
    kept: list[Group] = []
    for group in groups:
        found = given.get(group.signature.place, []) if not group.signature.test else []
        if len(found) == 1 and found[0].signature.type_name == group.signature.type_name:
            found[0].take(group)
        else:
            kept.append(group)
    return kept


def _merge_sentences(groups: Sequence[Group]) -> list[Group]:
    """Join what one ``raise`` statement said of things of one kind: which of them it was is data."""

    def sentence(group: Group) -> Hashable:
        signature = group.signature
        if signature.test or signature.server or not signature.place or signature.place.count(":") != 1:
            return None
        said = sentence_of(root_of(group.members[0].failure))
        return (signature.type_name, signature.place, signature.context, said) if said else None

    return merge_by(groups, sentence, lambda _: True)


def _merge_code(groups: Sequence[Group]) -> list[Group]:
    """Join what one line of the project's could not do, whatever it was given, and whatever was raised from it."""

    def line(group: Group) -> Hashable:
        signature = group.signature
        if signature.test or signature.server or signature.type_name not in _OF_CODE:
            return None
        ours = places_of(root_of(group.members[0].failure), "")
        if not ours or is_test(ours[-1]) or not ours[-1].source:
            return None
        unable = _UNABLE.search(signature.masked)
        said = (unable[1],) if unable else (signature.masked, *signature.hard, *signature.details)
        return signature.type_name, short(ours[-1].path), ours[-1].function, ours[-1].source, said

    return merge_by(groups, line, lambda _: True)


_OF_CODE = frozenset({"TypeError", "AttributeError", "NameError", "ZeroDivisionError", "IndexError", "ValueError", "KeyError"})
_UNABLE = re.compile(r"has no attribute '(\w+)'|unsupported operand|not supported between|cannot unpack|object is not ")


def _merge_pages(groups: Sequence[Group]) -> list[Group]:
    """Join what came instead of a page's answer (``{"detail": …}``) to the one status that this page was answered with."""
    statuses: dict[str, list[Group]] = {}
    for group in groups:
        if group.signature.type_name == STATUS and group.signature.place.startswith("/"):
            statuses.setdefault(group.signature.place, []).append(group)
    kept: list[Group] = []
    for group in groups:
        found = statuses.get(group.signature.place.removeprefix("answer of "), []) if _is_complaint(group.signature) else []
        if len(found) == 1:
            found[0].take(group)
        else:
            kept.append(group)
    return kept


def _is_complaint(signature: Signature) -> bool:
    return signature.place.startswith("answer of /") and not _COMPLAINTS.isdisjoint(signature.details)


_COMPLAINTS = frozenset({"'detail'", "'error'", "'errors'", "'message'", "'title'"})
"""Keys of what a web framework answers where something is wrong."""


def _merge_keys(groups: Sequence[Group]) -> list[Group]:
    """Join what one call got wrong where each line looks at more of the same keys than the one before.

    A module may stand before its name in one test and not in the next; what comes out may be wrong, or no use at all.
    """
    called = {group.signature.place for group in groups if group.signature.test and _CALL.fullmatch(group.signature.place)}
    whole = {place: [other for other in called if other.endswith(f".{place}")] for place in called}

    def call(group: Group) -> Hashable:
        place = group.signature.place
        if not group.signature.test or place not in called:
            return None
        return whole[place][0] if len(whole[place]) == 1 else place

    return merge_by(groups, call, _go_on)


def _go_on(kin: Sequence[Group]) -> bool:
    """Whether each names all that the one before it names."""
    ordered = sorted(kin, key=lambda group: len(group.signature.details))
    return all(set(less.signature.details) <= set(more.signature.details) for less, more in itertools.pairwise(ordered))


_CALL = re.compile(r"(?:[A-Za-z_]\w*\.)*[a-z_]\w*|answer of /\w+")


def _merge_lines(groups: Sequence[Group]) -> list[Group]:
    """Join lines that look at the same keys of local variables of the same names, in whichever file."""

    def line(group: Group) -> Hashable:
        signature = group.signature
        _, _, source = signature.place.partition(".py:")
        if not signature.test or not source or not (keys := looked_at(source)):
            return None
        return signature.type_name, keys, _LITERAL.sub("*", source), signature.hard, signature.details

    return merge_by(groups, line, lambda _: True)


_LITERAL = re.compile(r"(?<!\w)(?:[bruf]{0,2}(?:'[^'\n]*'|\"[^\"\n]*\")|-?\d[\d_.]*)(?!\w)|(?<=== )[\[{(].*")


def _merge_arguments(groups: Sequence[Group]) -> list[Group]:
    """Join what calls one function otherwise than it is written, where each says more of the same arguments."""

    def function(group: Group) -> Hashable:
        signature = group.signature
        return signature.hard if signature.masked.endswith(CALLED_OTHERWISE) else None

    return merge_by(groups, function, _go_on)
