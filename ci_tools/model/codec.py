"""JSON form of the frozen dataclasses that cross a stage: one codec for all of them.

Dataclasses become objects, enums their values, tuples arrays, mappings objects. Decoding is strict about
types and lenient about unknown keys, so that an older tool can read a newer minor version.
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from ci_tools.errors import DecodeError

T = TypeVar("T")

MOST_SECONDS = 6e10
"""Every float of the model is a time, a length of time or a rate. What is beyond (no date has it) is a fault of the file."""


def to_json(value: object) -> Any:
    """The JSON-able form of a model value. Non-finite floats become null: JSON has no word for them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        items = sorted(value) if isinstance(value, frozenset) else value
        return [to_json(item) for item in items]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    msg = f"{type(value).__name__} has no JSON form; model values are dataclasses, enums, tuples, mappings and scalars"
    raise TypeError(msg)


def dumps(value: object) -> str:
    """Canonical one-line JSON text: keys sorted, no spaces, non-ASCII kept. Equal values give equal text."""
    return json.dumps(to_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def from_json(kind: type[T], data: object, *, where: str = "$") -> T:
    """The value of type ``kind`` that ``data`` (parsed JSON) describes; DecodeError names the place that does not fit."""
    return typing.cast("T", _decode(kind, data, where))


def loads(kind: type[T], text: str | bytes, *, where: str = "$") -> T:
    """Parse JSON text and decode it as ``kind``; DecodeError when it is no JSON or does not fit."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        what = f"{where} is not JSON: {error}"
        raise DecodeError(what, hint="the file was cut off or is not ours; make it again") from error
    return from_json(kind, data, where=where)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decode(kind: Any, data: object, where: str) -> object:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(kind, data, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data, where)
    if origin is not None and issubclass(origin, Mapping):
        return _decode_mapping(typing.get_args(kind), data, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, data, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise _wrong(where, f"one of {[member.value for member in kind]}", data) from error
    return _decode_scalar(kind, data, where)


def _decode_union(kind: Any, data: object, where: str) -> object:
    members = typing.get_args(kind)
    if data is None and type(None) in members:
        return None
    members = tuple(member for member in members if member is not type(None))
    if len(members) == 1:
        return _decode(members[0], data, where)
    for member in members:
        try:
            return _decode(member, data, where)
        except DecodeError:
            continue
    raise _wrong(where, f"one of {members}", data)


def _decode_tuple(args: tuple[Any, ...], data: object, where: str) -> tuple[object, ...]:
    if not isinstance(data, list):
        raise _wrong(where, "an array", data)
    if len(args) == 2 and args[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...] has exactly these two arguments
        return tuple(_decode(args[0], item, f"{where}[{index}]") for index, item in enumerate(data))
    if len(args) != len(data):
        raise _wrong(where, f"an array of {len(args)}", data)
    return tuple(_decode(arg, item, f"{where}[{index}]") for index, (arg, item) in enumerate(zip(args, data, strict=True)))


def _decode_mapping(args: tuple[Any, ...], data: object, where: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise _wrong(where, "an object", data)
    value_kind = args[1] if args else str
    return {str(key): _decode(value_kind, item, f"{where}.{key}") for key, item in data.items()}


def _decode_dataclass(kind: type, data: object, where: str) -> object:
    if not isinstance(data, dict):
        raise _wrong(where, f"an object ({kind.__name__})", data)
    hints = _hints(kind)
    values: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            values[field.name] = _decode(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _wrong(f"{where}.{field.name}", "a value", "nothing")
    return kind(**values)


def _decode_scalar(kind: Any, data: object, where: str) -> object:
    if kind in (Any, object):
        return data
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool) and abs(data) <= MOST_SECONDS:
        return float(data)
    if kind is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    if kind in (str, bool) and isinstance(data, kind):
        return data
    raise _wrong(where, getattr(kind, "__name__", str(kind)), data)


def _wrong(where: str, expected: str, data: object) -> DecodeError:
    shown = repr(data)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."  # noqa: PLR2004 - one terminal line
    return DecodeError(
        f"{where} is {shown}, expected {expected}", hint="the file is from another version or was changed by hand; make it again"
    )
