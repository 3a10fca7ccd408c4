"""Failed comparisons: the line that compared tells what was wrong, what was compared is data. Pure."""

import ast
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ci_tools.reports.masks import mask
from ci_tools.reports.places import is_of_tests, is_test, places_of, plain_source, short
from ci_tools.reports.roots import Root
from ci_tools.reports.subjects import Subject, subject_of, words_of
from ci_tools.reports.traces import LONGEST_SECTION, Place

_REQUEST = re.compile(
    r"\b(?:get|post|put|patch|delete|head|options|request|stream)\((?:f?['\"][A-Z]+['\"], *)?f?['\"](?:https?://[^/'\"]*)?(/[^'\"\s]*)['\"]"
)

_PREFIX = re.compile(r"api|rest|v\d{1,2}")

_STEADY_PART = re.compile(r"[^\d%{}]{1,40}")

_MARKED_LINE = re.compile(r"^>[ \t]*\S", re.MULTILINE)

_DEF_LINE = re.compile(r"^[ \t]*(?:async )?def \w+\(", re.MULTILINE)

_CALLED = re.compile(r"^ *\+ +where .* = <(?:bound method|function) ([\w.]+)", re.MULTILINE)

_LITERAL = re.compile(r"(?<!\w)(?:[bruf]{0,2}(?:'[^'\n]*'|\"[^\"\n]*\")|-?\d[\d_.]*)(?!\w)")

# What a test gives and expects stands there as a literal in one test, in a variable in the next.
_LOCAL = re.compile(r"(?<![\w.])(?!(?:not|in|is|and|or|for|if|else|lambda|await|assert|None|True|False)\b)[a-z_]\w*(?![\w(.\[])")

_KEYWORD = re.compile(r"(?<=[(, ])\*=(?=\*)")

_SUM = re.compile(r"\*(?:\s*(?://|[-+*/%])\s*\*)+")

_EMPTY = re.compile(r"\[[*, ]*\]|\{[*,: ]*\}|(?<![\w.])(?:set|dict|list|tuple)\(\)")

_CALL = re.compile(
    r"(?<![\w.])(?!(?:len|list|set|sorted|dict|str|int|float|tuple|isinstance|all|any|sum|repr|bool|type|abs|min|max|expect|not|in"
    r"|is|and|or|range|round|next|iter|date|datetime|timedelta|Decimal|UUID|response|resp|res|r|result|self|client)\b)(?:\w+\.)*\w+\("
)


def without_message(origin: Root, root: str) -> Root:
    """A failed ``assert`` as if its author had said nothing: of some tests with one mend, a few say why they fail.

    Only where the message shows what was found (``assert answer.is_ok, answer.text``), or what was tested is a call and the
    message names nothing.
    """
    source = _source_of(origin, root)
    asserted = _asserted(source)
    if asserted is None or not origin.type_name.endswith("AssertionError"):
        return origin
    words, _, shown = origin.message.partition("\nassert ")
    if not asserted.is_worded and (said := _SAID_BY_PROGRAM.search(words)):
        return replace(origin, message=said[0])
    if asserted.is_worded and (mask(words)[1] or subject_of(asserted.condition, _given(origin)) is None):
        return origin
    return replace(origin, message=f"assert {shown}")


_SAID_BY_PROGRAM = re.compile(r"^(?:Error|error|ERROR): \S.*\w.*", re.MULTILINE)
"""What a command line says last, where all of its output is the assertion's message."""


def _source_of(origin: Root, root: str) -> str:
    ours = places_of(origin, root)
    return (ours[-1].source if ours else "") or origin.marked


@dataclass(frozen=True, slots=True)
class _Asserted:
    condition: str
    is_worded: bool
    """Whether its message holds words of the test's author, and is not only a value."""


@lru_cache(maxsize=1024)
def _asserted(source: str) -> _Asserted | None:
    """The parts of an ``assert`` statement that has a message; None for other lines, and for the first of several."""
    if not source.startswith("assert "):
        return None
    try:
        statement = ast.parse(source).body[0]
    except (SyntaxError, ValueError, IndexError):
        return None
    if not isinstance(statement, ast.Assert) or statement.msg is None:
        return None
    texts = [node.value for node in ast.walk(statement.msg) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    condition = ast.get_source_segment(source, statement.test) or source
    return _Asserted(condition, any(" " in text.strip() for text in texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The line that compared: what it is about, the test function it stands in, and whether its values matter.

    ``keys`` are those of a call's outcome that the line looked at.
    """

    place: str
    test: str = ""
    keys: tuple[str, ...] = ()
    are_values_firm: bool = True


def comparison_of(origin: Root, root: str, test: str) -> Comparison:
    """A bare comparison: its line tells what was compared; in code that tests share, the values do too."""
    function = test.partition("[")[0]
    ours = places_of(origin, root)
    source = (ours[-1].source if ours else "") or origin.marked
    if source.endswith("("):
        source = origin.statement or source
    asserted = _asserted(source)
    source = plain_source(asserted.condition if asserted else source)
    if ours and not is_test(ours[-1]):
        return _in_shared_code(ours, source, function, _given(origin))
    about = subject_of(source, _given(origin)) if source else None
    if about and (missed := _MEMBER.search(origin.message)):
        about = replace(about, keys=(*about.keys, missed[1]))
    if about and not (about.called.rpartition(".")[2][:1].isupper() and _REQUEST.search(source)):
        return Comparison(place=about.called, test=function, keys=about.keys, are_values_firm=False)
    if ours and (path := asked_for(origin, root)):
        return Comparison(place=f"answer of {path}", test=function, keys=words_of(source), are_values_firm=False)
    if about:
        return Comparison(place=about.called, test=function, keys=about.keys, are_values_firm=False)
    if not source and (called := _CALLED.search(origin.message)):
        return Comparison(place=called[1], test=function, are_values_firm=False)
    return _line(source, ours, function)


_MEMBER = re.compile(r"^assert '([A-Za-z_]\w{0,60})' (?:not )?in \{['\"}]", re.MULTILINE)
"""A key that a dictionary was to have, or not to have."""


def _in_shared_code(ours: Sequence[Place], source: str, function: str, given: Mapping[str, str]) -> Comparison:
    about = _asked_inside(ours) if _OF_TESTS.search(ours[-1].path) else None
    if about is None and (_OF_TESTS.search(ours[-1].path) or is_of_tests(ours[-1])):
        about = _called_itself(source, given)
    if about is not None:
        return Comparison(place=about.called, test=function, keys=about.keys, are_values_firm=False)
    return Comparison(place=line_of(replace(ours[-1], source=source)))


def _called_itself(source: str, given: Mapping[str, str]) -> Subject | None:
    """What a helper of the tests calls in the line that compares, unless that was given to it."""
    about = subject_of(source, given) if source else None
    base = about.called.partition(".")[0] if about else ""
    return None if base in given or base in {"self", "cls"} or base in sys.stdlib_module_names else about


def line_of(place: Place) -> str:
    """A line of code that tests share, by its file, function and text."""
    asserted = _asserted(place.source)
    return f"{short(place.path)}:{place.function}:{plain_source(asserted.condition if asserted else place.source)}"


def _line(source: str, ours: Sequence[Place], function: str) -> Comparison:
    """A line that calls nothing that is known: its own text, without literals where another language's call stands in it."""
    if _CALL.search(source):
        plain = _SUM.sub("*", _EMPTY.sub("*", _KEYWORD.sub("", _LOCAL.sub("*", _LITERAL.sub("*", source)))))
        # Where the line gives other values, other ones come out.
        return Comparison(place=plain, test=function, are_values_firm=plain == source)
    path = short(ours[-1].path) if ours else ""
    line = source or (ours[-1].function if ours else "")
    return Comparison(place=f"{path}:{line}" if path and line else line or function, test=function)


_OF_TESTS = re.compile(r"(?:\A|/)(?:tests?|testing)/|(?:\A|/)conftest\.py\Z")


def given_to(origin: Root, root: str, test: str) -> Comparison | None:
    """What a test gave to a helper that says in words what it found; None where that is no call of the project's."""
    ours = places_of(origin, root)
    if not ours or is_test(ours[-1]) or not _OF_TESTS.search(ours[-1].path):
        return None
    about = _asked_inside(ours)
    function = test.partition("[")[0]
    return Comparison(place=about.called, test=function, keys=about.keys, are_values_firm=False) if about else None


def _asked_inside(ours: Sequence[Place]) -> Subject | None:
    """What a test gave to a helper that compares (``expect_close(total(cart), 3)``): its call, not the helper's."""
    helper = ours[-1].function
    line = next((place.source for place in reversed(ours) if is_test(place)), "") or ours[-2:][0].source
    _, called, given = plain_source(line).partition(f"{helper}(")
    return subject_of(f"({given}", {}) if called and given.endswith(")") else None


def _given(origin: Root) -> dict[str, str]:
    """What the local variables of a test were last taken from, as far as its lines are shown; empty for what is given to it."""
    lines = _lines_before(origin)
    begun = _BEGUN.match(lines)
    given = dict.fromkeys(_PARAMETER.findall(begun[0]), "") if begun else {}
    for pattern in (_LOOPED, _TAKEN_FROM):
        given |= {name.strip(" *"): source for names, source in pattern.findall(lines) for name in names.split(",")}
    return given | {name: source for source, name in _ENTERED.findall(lines)}


_BEGUN = re.compile(r"\s*(?:async )?def [^:]*:")
_PARAMETER = re.compile(r"(?<![\w.\"'])[A-Za-z_]\w*(?=[,)=:(])")
_LOOPED = re.compile(r"^[ \t]+(?:async )?for \(?(\w+(?:, ?\w+)*)\)? in (\S.*\S):$", re.MULTILINE)
_TAKEN_FROM = re.compile(r"^[ \t]+\(?(\*?\w+(?:, ?\*?\w+)*)\)? = (\S.*\S)$", re.MULTILINE)
_ENTERED = re.compile(r"^[ \t]+(?:async )?with (?!(?:pytest\.)?(?:raises|warns)\b)(\S.*) as (\w+):$", re.MULTILINE)


def _lines_before(origin: Root) -> str:
    """The function that raised up to its line that did; empty where no source is shown."""
    text = origin.text[-LONGEST_SECTION:]
    *_, marked = (None, *_MARKED_LINE.finditer(text))
    if marked is None:
        return ""
    start = max((found.start() for found in _DEF_LINE.finditer(text, 0, marked.start())), default=marked.start())
    return text[start : marked.start()]


def asked_for(origin: Root, root: str) -> str:
    """What a test asked for that was answered with another status than it should: the first name in its path."""
    sources = [place.source for place in reversed(places_of(origin, root))]
    for text in (origin.message, *sources, _lines_before(origin)):
        if paths := _REQUEST.findall(text) or _ANSWERED_AT.findall(text):
            return f"/{first_name(paths[-1])}"
    given = next((paths for source in sources if (paths := _PATH_GIVEN.findall(source))), ())
    return f"/{first_name(given[-1])}" if given else ""


_ANSWERED_AT = re.compile(r"Response\(https?://[^/\s]+(/[^)\s]*)\)")
_PATH_GIVEN = re.compile(r"[(, ]f?['\"](/[A-Za-z][\w/.-]*)[^'\"]*['\"]")
"""A path that a helper of the tests was given."""


def expectation_of(origin: Root, root: str) -> tuple[str, ...]:
    """What was called that should have raised, and the words it should have raised, as far as the line says it."""
    source = _source_of(origin, root)
    about = subject_of(source, {})
    handed = _HANDED.search(source)
    called = handed[1] if handed else about.called if about and "raises" not in about.called else ""
    words = _MATCHED.search(source)
    return tuple(filter(None, (called, words[1] if words else "")))


_HANDED = re.compile(r"\b(?:raises|assertRaises)\([\w.]+, *([A-Za-z_][\w.]*) *[,)]")
"""``raises(ValueError, shop.order, 0)``."""

_MATCHED = re.compile(r"match=r?['\"]([^'\"]+)['\"]")


def first_name(path: str) -> str:
    """The first name in the path of a URL, behind what all paths begin with; empty where that varies."""
    named = (part for part in path.partition("?")[0].split("/") if part and not _PREFIX.fullmatch(part))
    first = next(named, "")
    return first if _STEADY_PART.fullmatch(first) else ""
