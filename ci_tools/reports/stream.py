"""Merges JUnit files into one as a stream: linear in files, flat in memory, for reports too large to hold.

Counts are made anew from what is there and filled into room left in the start tags, so each case passes through once.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO

from ci_tools.reports.elements import (
    LIMITS,
    PRODUCER,
    PYTEST,
    Limits,
    RawCase,
    RawSuite,
    Result,
    Scan,
    case_says_bad,
    clean,
    parse_seconds,
    says_idle,
)
from ci_tools.reports.scan import scan

_ROOM = 96
"""Bytes left for the counts in a start tag: five attributes with figures up to ten digits."""

_FLUSH_CHARS = 1 << 18

_PLAIN_TEXT = re.compile('[^&<"\x00-\x1f\ud800-\udfff\ufffe\uffff]*').fullmatch
"""Most names: nothing in them has to be escaped or taken out."""

_VALUES = itemgetter("classname", "name", "time")
_SHAPE = '<testcase classname="%s" name="%s" time="%s"/>\n'

_PLAIN_TIMES = re.compile(r"(?:[0-9]{1,9}\.[0-9]{1,9}\n)*[0-9]{1,9}\.[0-9]{1,9}").fullmatch
"""Figures as most producers write them, one a line."""


MERGED = b'<testsuites name="ci-tools" '
"""How the root of a file that was merged begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What was merged: files, cases, and the files that could not be read whole or were given twice."""

    files: int
    tests: int
    failures: int
    errors: int
    skipped: int
    corrupt: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


def merge_junit(paths: Sequence[Path], out: Path, *, limits: Limits = LIMITS) -> Merged:
    """Write every case of ``paths`` into ``out``, one suite for each suite that has cases.

    The same bytes under several names count once. A file that cannot be read whole gives what it has and an error that
    says so. Nested suites become flat, control characters go, results outside any case become cases. The order of
    ``paths`` does not matter, and merging a merged file again changes nothing. OSError leaves ``out`` as it was.
    """
    distinct, repeated = _distinct(paths)
    out.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name[:64]}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            writer = _Writer(stream)
            for path in distinct:
                writer.file(path, scan(path, writer.case, limits=limits, keeps_output=True, on_plain=writer.plain, hashes=False))
            writer.close()
        part.chmod(0o644)
        part.replace(out)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    total = writer.total
    return Merged(
        files=len(distinct),
        tests=total.tests,
        failures=total.failures,
        errors=total.errors,
        skipped=total.skipped,
        corrupt=tuple(writer.corrupt),
        repeated=repeated,
    )


def _distinct(paths: Iterable[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Each content once, ordered by name; only files of one size are read to compare them."""
    by_size: dict[int, list[Path]] = {}
    for path in sorted(set(paths), key=lambda path: (path.name, str(path))):
        by_size.setdefault(path.stat().st_size if path.exists() else -1, []).append(path)
    kept: list[Path] = []
    repeated: list[str] = []
    for same in by_size.values():
        seen: set[str] = set()
        for path in same:
            digest = _digest(path) if len(same) > 1 else ""
            if digest and digest in seen:
                repeated.append(path.name)
            else:
                kept.append(path)
            seen.add(digest)
    return sorted(kept, key=lambda path: (path.name, str(path))), tuple(repeated)


def _digest(path: Path) -> str:
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                hasher.update(chunk)
    except OSError:
        return ""
    return hasher.hexdigest()


@dataclass(slots=True)
class _Counts:
    tests: int = 0
    failures: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def add(self, other: "_Counts") -> None:
        self.tests += other.tests
        self.failures += other.failures
        self.errors += other.errors
        self.skipped += other.skipped
        self.seconds += other.seconds

    def text(self) -> str:
        counts = f'tests="{self.tests}" failures="{self.failures}" errors="{self.errors}" skipped="{self.skipped}"'
        return f'{counts} time="{self.seconds:.3f}"'


@dataclass(slots=True)
class _Writer:
    """Writes cases as they come; remembers where the counts go."""

    stream: BinaryIO
    total: _Counts = field(default_factory=_Counts)
    corrupt: list[str] = field(default_factory=list)
    _suite: RawSuite | None = None
    _counts: _Counts = field(default_factory=_Counts)
    _parts: list[str] = field(default_factory=list)
    _chars: int = 0
    _at: int = 0
    _room_at: int = 0
    _root_at: int = 0
    _fills: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._put(f'<?xml version="1.0" encoding="utf-8"?>\n{MERGED.decode()}')
        self._root_at = self._room()
        self._put(">\n")

    def case(self, case: RawCase) -> None:
        """One case: its attributes, one final result at most, its earlier attempts, properties and outputs."""
        if case.suite is not self._suite:
            self._open(case.suite)
        counts = self._counts
        counts.tests += 1
        counts.seconds += parse_seconds(case.attributes.get("time")) or 0.0
        parts = [f"<testcase{_attributes(case)}"]
        final = _final(case) if case.results or case.is_cut or _says_something(case.attributes) else None
        if final is None and not (case.results or case.properties or case.outputs):
            parts.append("/>\n")
        else:
            parts.append(">")
            parts.extend(_children(case, final))
            parts.append("</testcase>\n")
            if final is not None:
                counts.failures += final.kind == "failure"
                counts.errors += final.kind == "error"
                counts.skipped += final.kind == "skipped"
        self._put("".join(parts))

    def plain(self, suite: RawSuite, batch: Sequence[Mapping[str, str]]) -> None:
        """Many cases that only passed, each of nothing but a name, a classname and a time."""
        values = tuple(chain.from_iterable(map(_VALUES, batch)))
        # One look at all of them together: most hold nothing that has to be escaped.
        if not _PLAIN_TEXT("".join(values)):
            for attributes in batch:
                self.case(RawCase("", "", attributes, suite))
            return
        if suite is not self._suite:
            self._open(suite)
        self._counts.tests += len(batch)
        self._counts.seconds += _sum_of(values[2::3])
        self._put((_SHAPE * len(batch)) % values)

    def file(self, path: Path, found: Scan) -> None:
        """The end of one file; an error case when it was not whole."""
        if found.corrupt:
            self.corrupt.extend(f"{path.name} {reason}" for reason in found.corrupt)
            suite = RawSuite(path.name, "testsuite", 0, {})
            error = Result("error", "corrupt", f"{path.name} {found.corrupt[0]}")
            self.case(RawCase(f"{path.name} is not whole", path.name, {}, suite, results=[error]))
        self._close()

    def close(self) -> None:
        """Write what is left and fill in the counts."""
        self._close()
        self._put("</testsuites>\n")
        self._flush()
        for at, text in (*self._fills, (self._root_at, self.total.text())):
            self.stream.seek(at)
            self.stream.write(text.encode("ascii").ljust(_ROOM))

    def _open(self, suite: RawSuite) -> None:
        self._close()
        self._suite = suite
        kept = {name: suite.attributes[name] for name in ("timestamp", "hostname", "file", "package") if name in suite.attributes}
        self._put(f"<testsuite{_rendered({'name': suite.name, **kept})} ")
        self._room_at = self._room()
        self._put(">\n")
        is_unnamed = suite.is_pytests and suite.name != "pytest"
        if suite.properties or is_unnamed:
            self._put(_properties({PRODUCER: PYTEST, **suite.properties} if is_unnamed else suite.properties) + "\n")

    def _close(self) -> None:
        if self._suite is None:
            return
        self._put("</testsuite>\n")
        self._fills.append((self._room_at, self._counts.text()))
        self.total.add(self._counts)
        self._counts = _Counts()
        self._suite = None

    def _room(self) -> int:
        self._flush()
        at = self._at
        self._put(" " * _ROOM)
        return at

    def _put(self, text: str) -> None:
        self._parts.append(text)
        self._chars += len(text)
        if self._chars > _FLUSH_CHARS:
            self._flush()

    def _flush(self) -> None:
        data = "".join(self._parts).encode("utf-8", "replace")
        self.stream.write(data)
        self._at += len(data)
        self._parts.clear()
        self._chars = 0


def _sum_of(times: Sequence[str]) -> float:
    """The sum of times: at once where they are plain figures, else one by one."""
    if _PLAIN_TIMES("\n".join(times)):
        return sum(map(float, times))
    return sum(parse_seconds(text) or 0.0 for text in times)


def _says_something(attributes: Mapping[str, str]) -> bool:
    return bool(case_says_bad(attributes) or says_idle(attributes))


def _final(case: RawCase) -> Result | None:
    """The one result that the case is counted by: error over failure over skip, as in the reports of ours."""
    by_kind: dict[str, Result] = {}
    for result in case.results:
        by_kind.setdefault(result.kind, result)
    skip = by_kind.get("skipped")
    if skip is not None and skip.type_name == "todo":
        return skip
    worst = by_kind.get("error") or by_kind.get("failure")
    if worst is not None:
        return worst
    if case.is_cut:
        return Result("error", "lost", "the file ends in the middle of this case")
    if case_says_bad(case.attributes):
        return Result("failure", "status", "its status says that it did not pass")
    if skip is None and says_idle(case.attributes):
        return Result("skipped", "status", "its status says that it was not run")
    return skip


def _children(case: RawCase, final: Result | None) -> Iterable[str]:
    if case.properties:
        yield _properties(case.properties)
    if final is not None:
        extra = [other for other in case.results if other is not final and other.kind in {"failure", "error"}]
        text = "\n\n".join(part for part in (final.text, *(f"{other.message}\n{other.text}" for other in extra)) if part)
        yield _result(final.kind, final, text)
    for result in case.results:
        if result is not final and result.kind not in {"failure", "error", "skipped"}:
            yield _result(result.kind, result, result.text)
    for output in case.outputs:
        yield f"<{output.kind}>{_escaped(output.text)}</{output.kind}>"


def _result(kind: str, result: Result, text: str) -> str:
    attributes = {name: value for name, value in (("type", result.type_name), ("message", result.message)) if value}
    return f"<{kind}{_rendered(attributes)}>{_escaped(text)}</{kind}>" if text else f"<{kind}{_rendered(attributes)}/>"


def _properties(properties: Mapping[str, str]) -> str:
    inner = "".join(f"<property{_rendered({'name': name, 'value': value})}/>" for name, value in properties.items())
    return f"<properties>{inner}</properties>"


def _attributes(case: RawCase) -> str:
    if not case.is_made and case.attributes:
        return _rendered(case.attributes)
    return _rendered({"name": case.name, "classname": case.classname, **case.attributes})


def _rendered(attributes: Mapping[str, str]) -> str:
    return "".join(
        [f' {name if name[0] != "{" else name.rpartition("}")[2]}="{_quoted(value)}"' for name, value in attributes.items()]
    )


def _escaped(text: str) -> str:
    return clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _quoted(text: str) -> str:
    if _PLAIN_TEXT(text):
        return text
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("\n", "&#10;").replace("\t", "&#9;").replace("\r", "&#13;")
