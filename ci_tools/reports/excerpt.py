"""Reads of a stranger's JSON what a shape names, as a stream: neither the file nor anything else in it is held."""

import codecs
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import ijson  # type: ignore[import-untyped] # it has no stubs

Shape = Mapping[str, object] | Sequence[object] | None
"""What is wanted: a mapping of keys to shapes, a list of one shape for its items, or None for a plain value."""

_CHUNK_BYTES = 1 << 16
_MOST_QUIET_BYTES = 8 << 20
"""Bytes without a value's end: a text of this size, or white space."""
_MOST_VALUES = 12_000_000
"""Values, keys and ends of a file, wanted or not, each half a microsecond: twice what a report of 128 MB has."""
_PLAIN = frozenset({"null", "boolean", "number", "string"})
_CONTAINERS: dict[str, type] = {"start_map": dict, "start_array": list}


class BrokenJsonError(ValueError):
    """What was read so far is all that can be read."""


@dataclass(slots=True)
class _Container:
    """An object or array on the way to the value that is being read; ``key`` is the last one that an object had."""

    made: dict[str, object] | list[object]
    shape: Shape
    key: str = ""

    def shape_of_next(self) -> tuple[bool, Shape]:
        """Whether the next value is wanted, and its shape."""
        if isinstance(self.shape, Mapping):
            return self.key in self.shape, self.shape.get(self.key)  # type: ignore[return-value] # shapes hold shapes
        return bool(self.shape), self.shape[0] if self.shape else None  # type: ignore[return-value] # as above

    def take(self, value: object, most_items: int) -> None:
        """Keep a value; of one key that is there twice the last, as Python does."""
        if isinstance(self.made, dict):
            self.made[self.key] = value
        elif len(self.made) < most_items:
            self.made.append(value)
        else:
            raise BrokenJsonError(f"holds more than {most_items} values in one array: the rest is not read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """``items`` of one array that is kept, ``depth`` of anything."""

    items: int
    depth: int


def read_excerpt(
    path: Path, shape: Mapping[str, object], rows: Sequence[object], on_row: Callable[[object], None], bounds: Bounds
) -> tuple[Mapping[str, object], tuple[str, ...], str]:
    """What the file's object has of ``shape``, the keys of it that are twice in one object, and what is wrong, if anything.

    Every item of the arrays whose shape is ``rows`` itself goes to ``on_row`` as soon as it is read, and is not kept. Where an
    array or object stands in a plain value's place it is there, and empty. OSError when the file cannot be read.
    """
    excerpt = _Excerpt(shape=shape, rows=rows, on_row=on_row, bounds=bounds)
    with path.open("rb") as stream:
        reader = _Reader(stream)
        try:
            for kind, value in ijson.basic_parse(reader, buf_size=_CHUNK_BYTES):
                reader.quiet = 0
                excerpt.note(kind, value)
        except BrokenJsonError as error:
            return excerpt.top, excerpt.repeated, str(error)
        except (ijson.JSONError, ValueError, ArithmeticError) as error:
            said = error.args[0] if error.args else error
            text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
            return excerpt.top, excerpt.repeated, f"is not JSON: {' '.join(text.split())[:200]}"
    return excerpt.top, excerpt.repeated, ""


@dataclass(slots=True, kw_only=True)
class _Excerpt:
    """What has been read so far. ``skipped`` is the depth inside of something that nobody wants."""

    shape: Mapping[str, object]
    rows: Sequence[object]
    on_row: Callable[[object], None]
    bounds: Bounds
    top: dict[str, object] = field(default_factory=dict)
    stack: list[_Container] = field(default_factory=list)
    skipped: int = 0
    values: int = 0
    twice: dict[str, None] = field(default_factory=dict)

    @property
    def repeated(self) -> tuple[str, ...]:
        return tuple(self.twice)

    def note(self, kind: str, value: object) -> None:
        """Take one event of the parser."""
        self.values += 1
        if self.values > _MOST_VALUES:
            raise BrokenJsonError(f"holds more than {_MOST_VALUES} values: the rest is not read")
        if kind in _CONTAINERS:
            self._open(kind)
        elif kind in {"end_map", "end_array"}:
            self._close()
        elif self.skipped:
            return
        elif kind == "map_key":
            self.stack[-1].key = str(value)
        elif kind in _PLAIN:
            self._take(float(value) if isinstance(value, Decimal) else value)

    def _open(self, kind: str) -> None:
        if len(self.stack) + self.skipped >= self.bounds.depth:
            raise BrokenJsonError(f"is nested deeper than {self.bounds.depth}: the rest is not read")
        is_wanted, shape = self.stack[-1].shape_of_next() if self.stack else (kind == "start_map", self.shape)
        if self.skipped or not is_wanted:
            self.skipped += 1
            return
        made = self.top if not self.stack else _CONTAINERS[kind]()
        fits = isinstance(shape, Mapping) if kind == "start_map" else isinstance(shape, Sequence)
        self.stack.append(_Container(made, shape if fits else ({} if kind == "start_map" else ())))

    def _close(self) -> None:
        if self.skipped:
            self.skipped -= 1
            return
        done = self.stack.pop()
        if self.stack:
            self._take(done.made)

    def _take(self, value: object) -> None:
        if not self.stack:
            return
        holder = self.stack[-1]
        if holder.shape is self.rows and isinstance(holder.made, list):
            self.on_row(value)
        elif holder.shape_of_next()[0]:
            if isinstance(holder.made, dict) and holder.key in holder.made:
                self.twice[holder.key] = None
            holder.take(value, self.bounds.items)


class _Reader:
    """The file in UTF-8, whatever it is in. ``quiet`` are the bytes read since anybody saw a value in them."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        head = stream.read(4)
        encoding = json.detect_encoding(head)
        stream.seek(len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0)
        is_utf8 = encoding in {"utf-8", "utf-8-sig"}
        self._decoder = None if is_utf8 else codecs.getincrementaldecoder(encoding)()
        self.quiet = 0

    def read(self, size: int) -> bytes:
        """The next bytes: at least one of them unless the file is at its end."""
        if size == 0:  # the parser asks what it will get
            return b""
        while True:
            data = self._stream.read(size)
            self.quiet += len(data)
            if self.quiet > _MOST_QUIET_BYTES:
                raise BrokenJsonError(f"holds a text above {_MOST_QUIET_BYTES} bytes: the rest is not read")
            if self._decoder is None:
                return data
            text = self._decoder.decode(data, final=not data).encode("utf-8", "surrogatepass")
            if text or not data:
                return text
