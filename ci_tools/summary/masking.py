"""Secrets taken out of whatever is about to be shown: the values given, and passwords inside URLs."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from typing import TypeVar, cast

T = TypeVar("T")

MASK = "***"
SHORTEST_SECRET = 4
"""Characters; a shorter value would blank half the report and protects nothing."""

_SHORTEST_PART = 6
"""Characters of a secret's beginning or end beside an ellipsis: fewer may be any word's."""
_ELLIPSES = ("...", "…")

_WITHOUT_TEXT = frozenset({int, float, bool, type(None)})

_IDENTITIES = frozenset(
    {"event", "test_id", "test_ids", "missing", "unexpected", "markers", "imports", "fixtures", "shared", "path", "root"}
    | {"run_id", "worker", "shard", "configuration", "commit", "settings", "digest", "plan_digest"}
)
"""What the stages match by: with another test ID a test would be lost and another one unplanned."""

_URL_PASSWORD = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,30}://[^\s/?#:@'\"]{0,200}:)(?P<password>[^\s/?#@'\"]{1,500})(?=@)", re.IGNORECASE
)


class Mask:
    """What must not be shown. Longer secrets go first, so that one inside another leaves no rest."""

    __slots__ = ("_forms", "_parts", "_pattern")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = _any_of(ordered)
        self._forms = [form for form in ordered if len(form) > _SHORTEST_PART]
        ends = {end for form in self._forms for end in (form[:_SHORTEST_PART], form[-_SHORTEST_PART:])}
        self._parts = _any_of(sorted(ends))

    def text(self, text: str) -> str:
        """The text without the secrets and without passwords of URLs."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
            if any(ellipsis in text for ellipsis in _ELLIPSES):
                text = self._without_parts(text)
        return _URL_PASSWORD.sub(rf"\g<before>{MASK}", text) if "://" in text else text

    def _without_parts(self, text: str) -> str:
        """The text without what an ellipsis has left of a secret: pytest cuts lines to the terminal's width."""
        if self._parts is None:
            return text
        shown: list[str] = []
        done = 0
        for found in self._parts.finditer(text):
            start, end = min((self._part(text, found, form) for form in self._forms), key=lambda span: span[0] - span[1])
            if start < end and start >= done:
                shown += (text[done:start], MASK)
                done = end
        return "".join((*shown, text[done:])) if shown else text

    @staticmethod
    def _part(text: str, found: re.Match[str], form: str) -> tuple[int, int]:
        """Where the beginning of ``form`` stands before an ellipsis, or its end behind one; an empty span where neither does."""
        start, end = found.span()
        if form.startswith(found[0]):
            length = _shared_length(form, text[start : start + len(form)])
            if text.startswith(_ELLIPSES, start + length):
                return start, start + length
        if form.endswith(found[0]):
            length = _shared_length(form[::-1], text[max(0, end - len(form)) : end][::-1])
            if text.endswith(_ELLIPSES, 0, end - length):
                return end - length, end
        return start, start

    def event_line(self, line: str) -> str:
        """One line of a journal without secrets, the same object where it holds none; what the stages match by stays.

        A line that a kill cut is a text like any other.
        """
        if self._pattern is None and "://" not in line:
            return line
        masked = self.text(line)
        if masked == line and "\\" not in line:  # nothing in it, and nothing escaped
            return line
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return line if masked == line else masked
        safe = self._json(event)
        return line if safe == event else json.dumps(safe, separators=(",", ":"))

    def _json(self, value: object) -> object:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._json(item) for item in value]
        if isinstance(value, dict):
            return {name: item if name in _IDENTITIES else self._json(item) for name, item in value.items()}
        return value

    def value(self, value: T) -> T:
        """The same model value with every text in it masked: dataclasses, tuples and mappings all the way down."""
        return cast("T", self._value(value))

    def _value(self, value: object) -> object:
        kind = type(value)
        # Most values of a million tests are texts without a secret, or hold no text at all.
        if kind is str or (isinstance(value, str) and not isinstance(value, Enum)):
            return self.text(value)  # type: ignore[arg-type] # it is one
        if kind in _WITHOUT_TEXT or not value or isinstance(value, Enum):
            return value
        if isinstance(value, tuple):
            items = tuple(self._value(item) for item in value)
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        if isinstance(value, Mapping):
            return {self._value(key): self._value(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value)
        return value

    def _dataclass(self, value: object) -> object:
        changed = {}
        for name in _names(type(value)):  # type: ignore[arg-type]  # a class is hashable
            old = getattr(value, name)
            new = self._value(old)
            if new is not old and new != old:
                changed[name] = new
        return dataclasses.replace(value, **changed) if changed else value  # type: ignore[type-var]  # as above


def _any_of(texts: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(re.escape, texts))) if texts else None


def _shared_length(one: str, other: str) -> int:
    """How many characters two texts have in common from the beginning on."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _forms(secret: str) -> Iterable[str]:
    """The ways a secret may stand in a report: as it is, each of its lines, and as Python's and JSON's writers show it."""
    for line in {secret, *secret.splitlines()}:
        stripped = line.strip()
        if len(stripped) >= SHORTEST_SECRET:
            yield stripped
            yield repr(stripped)[1:-1]
            yield ascii(stripped)[1:-1]
            yield json.dumps(stripped)[1:-1]
            yield json.dumps(stripped, ensure_ascii=False)[1:-1]
