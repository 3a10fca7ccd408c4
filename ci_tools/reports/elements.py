"""What the elements of a JUnit file say: cases, suites and results as the file has them, and what their words mean."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ci_tools.model.codec import MOST_SECONDS

# What attribute values say when no child says it, without spaces and hyphens. Everything else is left to the children.
BAD_WORDS = frozenset(
    {"failed", "fail", "failure", "error", "errored", "broken", "undefined", "fatal", "exception", "incomplete", "unsuccessful"}
    | {"timeout", "timedout", "crashed", "interrupted", "aborted", "killed", "cancelled", "canceled", "panic", "panicked"}
    | {"notpassed", "notok", "nok", "ko", "ambiguous", "xpass", "xpassed", "bxpass", "unexpectedsuccess", "unexpectedpass"}
)
IDLE_WORDS = frozenset(
    {"notrun", "notexecuted", "disabled", "skipped", "skip", "suppressed", "ignored", "pending", "untested", "todo", "filtered"}
    | {"inconclusive"}
)
_GOOD_WORDS = frozenset(["passed", "pass", "ok", "run", "completed", "success", "successful", "true", "done"])
_WORDS = ("status", "result", "outcome", "state")
_TRUTHS = ("success", "passed")
"""Attributes that say the same with *true* or *false*, as the .NET runners write it."""

_UNTRUE = frozenset({"false", "no", "0"})

_SPEAKING = (*_WORDS, *_TRUTHS)

_BAD_COUNTS = (("failures", "errors"), ("failed",), ("failure",), ("error",))
"""How producers declare what is bad: together, or in one figure of their own. The largest counts, never their sum."""

_BAD_COUNTS_OF_A_CASE = frozenset(name for names in _BAD_COUNTS for name in names)

_BETWEEN_WORDS = re.compile(r"[\s_-]+")
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-Z\\-_]")
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_THOUSANDS = re.compile(r"(?<=[0-9])[\s'\u2019](?=[0-9]{3}(?![0-9]))")
"""What French and Swiss machines write between thousands."""

_USUAL_TIME = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a file is read: bytes of the file, depth of elements, cases, results of one case, characters of one text."""

    size_bytes: int = 2 << 30
    depth: int = 64
    cases: int = 2_000_000
    results: int = 1000
    text_chars: int = 1 << 20
    attribute_chars: int = 1 << 16
    properties: int = 1000


PYTEST = "pytest tests"
"""The name that pytest gives its root, whatever its suite is called."""

PRODUCER = "producer"
"""Property in which the merge keeps the root's name of a file that it was not alone in."""

LIMITS = Limits()
"""Generous for real reports: the largest seen have a million cases. The merge keeps none of them in memory, the gate all: a
million take 0.8 GB until they are judged."""


@dataclass(slots=True)
class Result:
    """One child of a case that says something about it: ``kind`` is the element's name without its namespace."""

    kind: str
    type_name: str = ""
    message: str = ""
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What stands inside the element."""
        return "".join(self.texts)


@dataclass(slots=True)
class RawSuite:
    """One ``<testsuite>`` (or the root): what it declares, and what was found inside so far."""

    name: str
    tag: str
    depth: int
    attributes: Mapping[str, str]
    root_name: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    cases: int = 0
    bad: int = 0

    @property
    def is_pytests(self) -> bool:
        """Whether one session of pytest wrote it: pytest has a way of its own to write one test twice."""
        return self.name == "pytest" or PYTEST in {self.root_name, self.properties.get(PRODUCER)}


@dataclass(slots=True)
class RawCase:
    """One ``<testcase>`` as the file has it. ``is_made`` marks one that stands for a result outside any case."""

    name: str
    classname: str
    attributes: Mapping[str, str]
    suite: RawSuite
    results: list[Result] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)
    outputs: list[Result] = field(default_factory=list)
    is_cut: bool = False
    is_made: bool = False


@dataclass(slots=True)
class Scan:
    """What the whole file was: ``corrupt`` reasons why it cannot be trusted whole, ``warnings`` that harm nothing.

    ``lies`` are what its suites declare and do not hold: read on all the same, and corrupt in the end.
    """

    digest: str = ""
    size: int = 0
    cases: int = 0
    root: str = ""
    root_name: str = ""
    declared_tests: int | None = None
    corrupt: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    suites: int = 0
    lies: list[str] = field(default_factory=list)


def word_of(text: str) -> str:
    """A status as it is looked up: ``Timed_Out``, ``timed-out`` and ``TIMED OUT`` are one word."""
    return _BETWEEN_WORDS.sub("", text).lower()


def clean(text: str) -> str:
    """``text`` without colours and without the characters that XML cannot hold."""
    return _ILLEGAL.sub("", _ANSI.sub("", text))


def says_bad(attributes: Mapping[str, str]) -> str:
    """What attributes say that means *did not pass* (``status='failed'``, ``success='false'``); empty when none does."""
    said = _said(attributes)
    if not said:
        return ""
    for name, word in said.items():
        if word in BAD_WORDS and name in _WORDS:
            return f"{name}={attributes[name][:80]!r}"
    # A skipped test is no success either, and some runners say so.
    is_idle = any(word in IDLE_WORDS for word in said.values())
    return next((f"{name}={word!r}" for name, word in said.items() if name in _TRUTHS and word in _UNTRUE and not is_idle), "")


def case_says_bad(attributes: Mapping[str, str]) -> str:
    """The same of a case, where what is a figure in a suite tells too (``failed='true'``, ``errors='1'``)."""
    for name in _BAD_COUNTS_OF_A_CASE & attributes.keys():
        if word_of(attributes[name]) in {"true", "yes"} or parse_count(attributes[name]):
            return f"{name}={attributes[name][:80]!r}"
    return says_bad(attributes)


def says_idle(attributes: Mapping[str, str]) -> str:
    """What attributes say that means *not run, on purpose*; empty when none does."""
    return next((f"{name}={attributes[name][:80]!r}" for name, word in _said(attributes).items() if word in IDLE_WORDS), "")


def unknown_words(attributes: Mapping[str, str]) -> tuple[str, ...]:
    """Values of such attributes that nobody has a meaning for."""
    said = _said(attributes)
    return tuple(
        word for name, word in said.items() if name in _WORDS and word and word not in BAD_WORDS | IDLE_WORDS | _GOOD_WORDS
    )


def _said(attributes: Mapping[str, str]) -> dict[str, str]:
    if attributes.keys().isdisjoint(_SPEAKING):
        return {}
    return {name: word_of(attributes[name]) for name in _SPEAKING if name in attributes}


def parse_count(text: str | None) -> int | None:
    """A count as producers write it (``3``, ``3.0``, ``1,000``); None for everything else, and for negative ones."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*\+?([0-9]{1,15}|[0-9]{1,3}(?:,[0-9]{3}){1,4})(?:\.0*)?\s*", text)
    return int(match[1].replace(",", "")) if match else None


def declared_bad(attributes: Mapping[str, str]) -> tuple[int, str]:
    """How many failures and errors a suite declares, and the first declaration that is no count (empty: all are)."""
    given = {name.rpartition("}")[2].lower(): value for name, value in attributes.items()}
    strange = next(
        (f"{name}={given[name][:40]!r}" for names in _BAD_COUNTS for name in names if _is_strange(given.get(name, ""))), ""
    )
    return max(sum(parse_count(given.get(name)) or 0 for name in names) for names in _BAD_COUNTS), strange


def declared_idle(attributes: Mapping[str, str]) -> int:
    """How many tests a suite declares that it did not run, and that its producer may have left out for that."""
    names = ("skipped", "disabled", "ignored", "notrun", "not-run", "pending", "inconclusive")
    given = {name.rpartition("}")[2].lower(): value for name, value in attributes.items()}
    return sum(parse_count(given.get(name)) or 0 for name in names)


def _is_strange(text: str) -> bool:
    return bool(text.strip()) and parse_count(text) is None


def parse_seconds(text: str | None) -> float | None:
    """A time as producers write it, in seconds: ``1.5``, ``1,234.5``, ``1.234,5``, ``1,5`` (a lone comma is a decimal mark).

    Of two marks the last is the decimal one. Empty is 0. None for what is no time: negative, not finite, words, two thousand
    years.
    """
    if text is None:
        return 0.0
    if _USUAL_TIME(text):
        return float(text)
    plain = _THOUSANDS.sub("", text.strip())
    if not plain:
        return 0.0
    if plain.rfind(",") > plain.rfind("."):
        plain = plain.replace(".", "").replace(",", ".") if plain.count(",") == 1 else plain.replace(",", "")
    else:
        plain = plain.replace(",", "")
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?|\.[0-9]+", plain):
        return None
    seconds = float(plain)
    return seconds if seconds <= MOST_SECONDS else None
