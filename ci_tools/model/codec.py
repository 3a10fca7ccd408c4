"""JSON form of the frozen dataclasses that cross a stage: one codec for all of them.

Dataclasses become objects, enums their values, tuples arrays, mappings objects. Decoding is strict about
types and lenient about unknown keys, so that an older tool can read a newer minor version.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from itertools import repeat
from typing import Any, TypeVar

from ci_tools.errors import DecodeError

T = TypeVar("T")

MOST_SECONDS = 6e10
"""Every float of the model is a time, a length of time or a rate. What is beyond (no date has it) is a fault of the file."""


_ENCODE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_PLAIN = frozenset({str, int, bool, type(None)})


def to_json(value: object) -> Any:
    """The JSON-able form of a model value. Non-finite floats become null: JSON has no word for them."""
    kind: Any = type(value)
    if kind in _PLAIN:  # nearly every value of a million tests: asked first
        return value
    if kind is tuple:
        return [to_json(item) for item in value]  # type: ignore[attr-defined] # it is a tuple
    names = _names(kind)
    if names is not None:
        return {name: to_json(getattr(value, name)) for name in names}
    return _other_to_json(value)


def _other_to_json(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        items = sorted(value) if isinstance(value, frozenset) else value
        return [to_json(item) for item in items]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (str, int, float)):
        return value
    msg = f"{type(value).__name__} has no JSON form; model values are dataclasses, enums, tuples, mappings and scalars"
    raise TypeError(msg)


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a dataclass; None for any other class."""
    return tuple(field.name for field in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None


def dumps(value: object) -> str:
    """Canonical one-line JSON text: keys sorted, no spaces, non-ASCII kept. Equal values give equal text."""
    return _ENCODE(to_json(value))


def dumped(value: object) -> Iterator[str]:
    """The text of ``dumps`` piece by piece: of a dataclass that holds a million others the text is never there as a whole."""
    if not dataclasses.is_dataclass(value):
        yield dumps(value)
        return
    opening = "{"
    for name in sorted(field.name for field in dataclasses.fields(value)):
        item = getattr(value, name)
        yield f'{opening}"{name}":'
        opening = ","
        if isinstance(item, tuple):
            yield "["
            for number, one in enumerate(item):
                yield f",{dumps(one)}" if number else dumps(one)
            yield "]"
        else:
            yield dumps(item)
    yield "}"


def from_json(kind: type[T], data: object, *, where: str = "$") -> T:
    """The value of type ``kind`` that ``data`` (parsed JSON) describes; DecodeError names the place that does not fit."""
    try:
        return typing.cast("T", _decoder(kind)(data))  # type: ignore[arg-type] # a type is hashable
    except _MisfitError as misfit:
        place = where + "".join(reversed(misfit.path))
        shown = repr(misfit.data)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."  # noqa: PLR2004 - one terminal line
        raise DecodeError(f"{place} is {shown}, expected {misfit.expected}", hint=_HINT) from misfit.__cause__


def loads(kind: type[T], text: str | bytes, *, where: str = "$") -> T:
    """Parse JSON text and decode it as ``kind``; DecodeError when it is no JSON or does not fit."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"{where} is not JSON: {error}"
        raise DecodeError(what, hint="the file was cut off or is not ours; make it again") from error
    return from_json(kind, data, where=where)


_HINT = "the file is from another version or was changed by hand; make it again"
_Decoder = Callable[[object], object]
"""From parsed JSON to a value. One is made for each type, once: there may be a million values of it."""


class _MisfitError(Exception):
    """Data that does not fit; ``path`` is where, innermost first."""

    def __init__(self, expected: str, data: object) -> None:
        super().__init__(expected)
        self.expected = expected
        self.data = data
        self.path: list[str] = []

    def within(self, place: str) -> "_MisfitError":
        """The same one step further out."""
        self.path.append(place)
        return self


@cache
def _decoder(kind: Any) -> _Decoder:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_decoder(kind)
    if origin is tuple:
        return _tuple_decoder(typing.get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_decoder(typing.get_args(kind))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass_decoder(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_decoder(kind)
    return _scalar_decoder(kind)


def _union_decoder(kind: Any) -> _Decoder:
    members = typing.get_args(kind)
    decoders = [_decoder(member) for member in members if member is not type(None)]
    takes_none = type(None) in members

    def decode(data: object) -> object:
        if data is None and takes_none:
            return None
        if len(decoders) == 1:
            return decoders[0](data)
        for decoder in decoders:
            try:
                return decoder(data)
            except _MisfitError:
                continue
        raise _MisfitError(f"one of {tuple(member for member in members if member is not type(None))}", data)

    return decode


def _tuple_decoder(args: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(arg) for arg in args if arg is not Ellipsis]
    is_open = len(args) == 2 and args[1] is Ellipsis  # noqa: PLR2004 - tuple[X, ...] has exactly these two arguments

    def decode(data: object) -> tuple[object, ...]:
        if not isinstance(data, list):
            raise _MisfitError("an array", data)
        if not is_open and len(data) != len(decoders):
            raise _MisfitError(f"an array of {len(decoders)}", data)
        index = 0
        found = []
        try:
            for index, (decoder, item) in enumerate(zip(repeat(decoders[0]) if is_open else decoders, data, strict=False)):  # noqa: B007 - a misfit's place
                found.append(decoder(item))
        except _MisfitError as misfit:
            raise misfit.within(f"[{index}]")  # noqa: B904 - the same error
        return tuple(found)

    return decode


def _mapping_decoder(args: tuple[Any, ...]) -> _Decoder:
    decoder = _decoder(args[1] if args else str)

    def decode(data: object) -> dict[str, object]:
        if not isinstance(data, dict):
            raise _MisfitError("an object", data)
        key = None
        found = {}
        try:
            for key, item in data.items():
                found[str(key)] = decoder(item)
        except _MisfitError as misfit:
            raise misfit.within(f".{key}")  # noqa: B904 - the same error
        return found

    return decode


def _dataclass_decoder(kind: type) -> _Decoder:
    hints = typing.get_type_hints(kind)
    fields = [
        (field.name, _decoder(hints[field.name]), field.default is field.default_factory is dataclasses.MISSING)
        for field in dataclasses.fields(kind)
    ]

    def decode(data: object) -> object:
        if not isinstance(data, dict):
            raise _MisfitError(f"an object ({kind.__name__})", data)
        name = ""
        values: dict[str, object] = {}
        try:
            for name, decoder, is_required in fields:
                if name in data:
                    values[name] = decoder(data[name])
                elif is_required:
                    raise _MisfitError("a value", "nothing")  # noqa: TRY301 - its place is added below
        except _MisfitError as misfit:
            raise misfit.within(f".{name}")  # noqa: B904 - the same error
        return kind(**values)

    return decode


def _enum_decoder(kind: type[Enum]) -> _Decoder:
    named = {member.value: member for member in kind if isinstance(member.value, str)}

    def decode(data: object) -> Enum:
        if type(data) is str and data in named:
            return named[data]
        try:
            return kind(data)
        except ValueError as error:
            raise _MisfitError(f"one of {[member.value for member in kind]}", data) from error

    return decode


def _scalar_decoder(kind: Any) -> _Decoder:
    if kind in (Any, object):
        return lambda data: data
    expected = getattr(kind, "__name__", str(kind))

    def decode_float(data: object) -> float:
        if isinstance(data, (int, float)) and not isinstance(data, bool) and abs(data) <= MOST_SECONDS:
            return float(data)
        raise _MisfitError(expected, data)

    def decode(data: object) -> object:
        if isinstance(data, kind) and (kind is not int or not isinstance(data, bool)):
            return data
        raise _MisfitError(expected, data)

    if kind is float:
        return decode_float
    if kind in (str, int, bool):
        return decode

    def refuse(data: object) -> object:
        raise _MisfitError(expected, data)

    return refuse
