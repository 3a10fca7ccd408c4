"""Secrets taken out of whatever is about to be shown: the values given, and passwords inside URLs."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import cache
from typing import TypeVar, cast

T = TypeVar("T")

MASK = "***"
SHORTEST_SECRET = 4
"""Characters; a shorter value would blank half the report and protects nothing."""

_WITHOUT_TEXT = frozenset({int, float, bool, type(None)})

_URL_PASSWORD = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,30}://[^\s/?#:@'\"]{0,200}:)(?P<password>[^\s/?#@'\"]{1,500})(?=@)", re.IGNORECASE
)


class Mask:
    """What must not be shown. Longer secrets go first, so that one inside another leaves no rest."""

    __slots__ = ("_pattern",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(re.escape(form) for form in ordered)) if ordered else None

    def text(self, text: str) -> str:
        """The text without the secrets and without passwords of URLs."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _URL_PASSWORD.sub(rf"\g<before>{MASK}", text) if "://" in text else text

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
