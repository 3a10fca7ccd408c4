"""Reads one JUnit file as a stream: case by case, within limits, whatever can be read of it.

lxml's target parser hands over start tags, end tags and text as they come; no tree is built, so that memory stays flat.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from lxml import etree

from ci_tools.reports.elements import (
    LIMITS,
    Limits,
    RawCase,
    RawSuite,
    Result,
    Scan,
    declared_bad,
    parse_count,
    says_bad,
)

CHUNK_BYTES = 1 << 16


OnCase = Callable[[RawCase], None]
OnPlain = Callable[[RawSuite, Mapping[str, str], str], None]

FINAL = {"failure", "error", "skipped"}
INTERIM = {"rerunFailure", "rerunError", "flakyFailure", "flakyError"}
_RESULTS = FINAL | INTERIM
_FEW = 3
"""Attributes of a plain case: name, classname, time. With more of them (a status, a file) a case is looked at closely."""

_OUTPUTS = {"system-out", "system-err"}
_CONTAINERS = {"testsuites", "testsuite"}
_FAILURE_LIKE = re.compile(
    r"(?i)(failure|error|failed|fatal|exception|abort(ed)?|crash(ed)?|time(d)?-?out|incomplete|broken|panic)$"
)
_HARMLESS = {"properties", "property", "system-out", "system-err"}
_ENCODINGS = re.compile(rb"(?i)^(utf-?8|utf-?16(le|be)?|us-ascii|ascii|iso-?8859-?\d+|latin-?\d|windows-125\d|cp125\d)$")
_DECLARATION = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([^"']*)["']""")
_SURROGATE = re.compile(
    rb"&#(?:[xX]0*[dD][89a-fA-F][0-9a-fA-F]{2}|0*5(?:529[6-9]|5[3-9]\d\d|6\d{3}|7[0-2]\d\d|73[0-3]\d|734[0-3]));"
)


class _RefusalError(Exception):
    """The file is not read any further; its text is the reason."""


def scan(
    path: Path,
    on_case: OnCase,
    *,
    limits: Limits = LIMITS,
    keeps_output: bool = False,
    on_plain: OnPlain | None = None,
    hashes: bool = True,
) -> Scan:
    """Give every case of ``path`` to ``on_case`` in the file's order; what went wrong stands in the result.

    What tests printed is read over unless ``keeps_output``. ``on_plain`` takes, if given, the suite, the attributes and
    their values in one text of a case with nothing inside and few attributes: a plain pass, and faster.
    Never raises for what the file holds. A file with a DOCTYPE is refused: reports need none, attacks do.
    """
    found = Scan()
    target = _Target(found, on_case, limits, keeps_output=keeps_output, on_plain=on_plain)
    parser = etree.XMLParser(
        target=target,  # type: ignore[arg-type] # the stubs ask for bytes, which lxml never gives
        recover=True,
        huge_tree=True,
        resolve_entities="internal",  # type: ignore[arg-type] # False would hand over &amp; in attributes as &#38;
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
    )
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                if hashes:
                    hasher.update(chunk)
                found.size += len(chunk)
                if not found.corrupt:
                    _feed(parser, chunk, found, limits)
    except OSError as error:
        found.corrupt.append(f"cannot be read: {error.strerror}")
    found.digest = hasher.hexdigest() if hashes else ""
    _close(parser, target, found)
    target.finish()
    return found


def _feed(parser: etree.XMLParser, chunk: bytes, found: Scan, limits: Limits) -> None:
    try:
        _check(chunk, found, limits)
        # A reference to half a character would end lxml itself; as a control character it is recovered from, and said.
        mark = _mark_of(chunk) if found.size == len(chunk) else b""
        parser.feed(mark + (_SURROGATE.sub(b"&#0;", chunk) if b"&#" in chunk else chunk))
    except _RefusalError as refusal:
        found.corrupt.append(str(refusal))
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        found.corrupt.append(f"is not XML: {_first_line(error)}")


def _mark_of(head: bytes) -> bytes:
    """The byte order mark that a UTF-16 file lacks: some editors and shells write none, and then XML has to be told."""
    return {b"<\0": b"\xff\xfe", b"\0<": b"\xfe\xff"}.get(head[:2], b"") if head[2:4] != b"\0\0" else b""


def _check(chunk: bytes, found: Scan, limits: Limits) -> None:
    if found.size > limits.size_bytes:
        raise _RefusalError(f"is larger than {limits.size_bytes} bytes: the rest is not read")
    if found.size > len(chunk):
        return
    # Encodings of the ASCII and UTF-16 families only: in others a DOCTYPE could hide from the parser's own checks.
    head = chunk[:1024].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if head and not head.startswith(b"<"):
        raise _RefusalError(f"does not begin as XML but with {head[:20]!r}")
    declared = _DECLARATION.match(head)
    if declared and not _ENCODINGS.match(declared[1]):
        raise _RefusalError(
            f"declares the encoding {declared[1][:40]!r}; UTF-8, UTF-16, ISO 8859 and Windows code pages are read"
        )


def _close(parser: etree.XMLParser, target: "_Target", found: Scan) -> None:
    target.is_at_end = True
    if found.corrupt:
        return
    if not found.size:
        found.corrupt.append("is empty")
        return
    try:
        parser.close()
    except _RefusalError as refusal:
        found.corrupt.append(str(refusal))
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        found.corrupt.append(f"is not XML: {_first_line(error)}")
    for entry in parser.feed_error_log:
        if entry.level >= etree.ErrorLevels.ERROR:
            found.corrupt.append(f"line {entry.line}: {entry.message}")
            break
    if not found.root and not found.corrupt:
        found.corrupt.append("holds no element")


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200] or type(error).__name__


class _Target:
    """What the parser calls. Namespaces are dropped: some producers set one and nobody means anything by it."""

    def __init__(self, found: Scan, on_case: OnCase, limits: Limits, *, keeps_output: bool, on_plain: OnPlain | None) -> None:
        self.keeps_output = keeps_output
        self.found = found
        self.on_case = on_case
        self.limits = limits
        self.is_at_end = False
        self.on_plain = on_plain
        self.depth = 0
        self.suites: list[RawSuite] = []
        self.suite = RawSuite("", "", 0, {})
        self.plain: Mapping[str, str] | None = None
        self.is_between = True
        self.case: RawCase | None = None
        self.case_depth = 0
        self.result: Result | None = None
        self.result_depth = 0
        self.texts: list[str] = []
        self.room = 0
        self.late: list[RawCase] = []
        self.warned: set[str] = set()
        self.top_tests = 0
        self.has_top_tests = False

    # The calls of lxml's parser target interface. A case with nothing in it is by far the most frequent element: it is
    # kept as its bare attributes until it turns out to have children.

    def doctype(self, name: str | None, public_id: str | None, url: str | None) -> None:  # noqa: ARG002 - lxml's signature
        raise _RefusalError(f"has a DOCTYPE ({name}): refused, a test report needs none")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        if tag == "testcase" and self.is_between:
            self.plain = attributes
            self.is_between = False
        else:
            self._start(tag, attributes)

    def data(self, text: str) -> None:
        if self.result is not None:
            self.texts.append(text)
            self.room -= len(text)
            if self.room < 0:
                self._cut_text(text)

    def end(self, tag: str) -> None:
        self.depth -= 1
        plain = self.plain
        if plain is not None:
            self.plain = None
            self.is_between = True
            texts = "".join(plain.values())
            if self.on_plain is None or self.is_at_end or len(plain) > _FEW or len(texts) > self.limits.attribute_chars:
                self._start_case(plain, self.depth + 1)
                self._end_case()
                return
            found = self.found
            found.cases += 1
            if found.cases > self.limits.cases:
                self._refuse_cases()
            suite = self.suite
            suite.cases += 1
            self.on_plain(suite, plain, texts)
        elif self.result is not None:
            if self.depth < self.result_depth:
                self.result = None
        elif self.case is not None:
            if self.depth < self.case_depth:
                self._end_case()
        elif self.suites and self.depth < self.suites[-1].depth and tag.rpartition("}")[2] in _CONTAINERS:
            self._end_suite()

    def close(self) -> None:
        return None

    def finish(self) -> None:
        """Hand over what was still open when the file ended."""
        if self.plain is not None:
            plain, self.plain = self.plain, None
            self._start_case(plain, self.depth)
        if self.case is not None:
            self.case.is_cut = True
            self._end_case()
        while self.suites:
            self._end_suite()
        for case in self.late:
            case.is_cut = case.is_cut or bool(self.found.corrupt)
            self.on_case(case)

    # What they mean.

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self.depth > self.limits.depth:
            raise _RefusalError(f"is nested deeper than {self.limits.depth} elements")
        tag = tag.rpartition("}")[2]
        if self.plain is not None:
            plain, self.plain = self.plain, None
            self._start_case(plain, self.depth - 1)
        if tag == "testcase":
            self._start_case(attributes, self.depth)
        elif self.result is not None and not (tag in FINAL and self.result.kind in _OUTPUTS):
            pass
        elif self.case is not None:
            self.result = None
            self._start_in_case(tag, attributes)
        else:
            self._start_outside(tag, attributes)

    def _start_case(self, attributes: Mapping[str, str], depth: int) -> None:
        if self.case is not None:
            # A case inside a case: the outer one is given as far as it was read.
            self.result = None
            self._end_case()
        self.found.root = self.found.root or "testcase"
        values = self._cut(attributes)
        self.case = RawCase(values.get("name", ""), values.get("classname", ""), values, self.suite)
        self.case_depth = depth
        self.is_between = False

    def _refuse_cases(self) -> None:
        raise _RefusalError(f"holds more than {self.limits.cases} cases: the rest is not read")

    def _start_in_case(self, tag: str, attributes: Mapping[str, str]) -> None:
        case = self.case
        assert case is not None  # noqa: S101 - the caller looked
        depth = self.depth
        if tag in _RESULTS or (depth == self.case_depth + 1 and _FAILURE_LIKE.search(tag)):
            if tag not in _RESULTS:
                self._warn(f"holds <{tag}>, read as a failure")
                tag = "failure"
            values = self._cut(attributes)
            case.results.append(self._begin(Result(tag, values.get("type", ""), values.get("message", ""))))
        elif tag == "property":
            self._property(case.properties, attributes)
        elif self.keeps_output and tag in _OUTPUTS:
            case.outputs.append(self._begin(Result(tag)))
        elif depth == self.case_depth + 1 and tag not in _HARMLESS:
            self._warn(f"holds <{tag[:80]}> in a case, which means nothing here")

    def _start_outside(self, tag: str, attributes: Mapping[str, str]) -> None:
        depth = self.depth
        if tag in _CONTAINERS:
            if not self.found.root:
                self.found.root, self.found.root_name = tag, attributes.get("name") or ""
            self.found.suites += tag == "testsuite"
            values = self._cut(attributes)
            self.suite = RawSuite(values.get("name", ""), tag, depth, values, self.found.root_name)
            self.suites.append(self.suite)
        elif not self.found.root and depth == 1:
            raise _RefusalError(f"has the root <{tag[:80]}>, expected <testsuites> or <testsuite>")
        elif tag == "property" and self.suites:
            self._property(self.suites[-1].properties, attributes)
        elif tag in {"failure", "error"} and self.suites:
            self._start_suite_result(tag, attributes)

    def _start_suite_result(self, tag: str, attributes: Mapping[str, str]) -> None:
        """A result outside any case: a case is made for it, so that nobody overlooks it."""
        values = self._cut(attributes)
        suite = self.suites[-1]
        name = f"<{tag} of the suite>"
        self.case = RawCase(name, suite.name, {}, suite, is_made=True)
        self.case_depth = self.depth
        self.is_between = False
        self.case.results.append(self._begin(Result(tag, values.get("type", ""), values.get("message", ""))))

    def _begin(self, result: Result) -> Result:
        self.result = result
        self.result_depth = self.depth
        self.texts = result.texts
        self.room = self.limits.text_chars
        return result

    def _end_case(self) -> None:
        case = self.case
        assert case is not None  # noqa: S101 - the caller looked
        self.case = self.result = None
        self.is_between = True
        self.found.cases += 1
        if self.found.cases > self.limits.cases:
            self._refuse_cases()
        suite = case.suite
        suite.cases += not case.is_made
        if case.results:
            suite.bad += sum(result.kind in {"failure", "error"} for result in case.results) or bool(says_bad(case.attributes))
        elif says_bad(case.attributes):
            suite.bad += 1
        if self.is_at_end:
            self.late.append(case)
        else:
            self.on_case(case)

    def _end_suite(self) -> None:
        suite = self.suites.pop()
        self.suite = self.suites[-1] if self.suites else RawSuite("", "", 0, {})
        if self.suites:
            self.suites[-1].cases += suite.cases
            self.suites[-1].bad += suite.bad
        declared_tests = parse_count(suite.attributes.get("tests"))
        bad, strange = declared_bad(suite.attributes)
        where = f"<{suite.tag}> {suite.name!r}" if suite.name else f"<{suite.tag}>"
        if strange:
            self.found.corrupt.append(f"{where} declares {strange}, which is no count: what it means nobody knows")
        if bad > suite.bad:
            self.found.corrupt.append(f"{where} declares {bad} failures and errors, {suite.bad} are in it")
        elif not suite.bad and says_bad(suite.attributes):
            self.found.corrupt.append(f"{where} says that it did not pass, and nothing in it says so")
        if not self.suites or (len(self.suites) == 1 and self.suites[0].tag == "testsuites"):
            if declared_tests is not None and suite.tag == "testsuite":
                self.top_tests += declared_tests
                self.has_top_tests = True
            if not self.suites:
                self._end_root(suite, declared_tests, where)

    def _end_root(self, suite: RawSuite, declared_tests: int | None, where: str) -> None:
        if declared_tests is None and self.has_top_tests:
            declared_tests = self.top_tests
        self.found.declared_tests = declared_tests
        if declared_tests is not None and declared_tests != suite.cases:
            self.found.warnings.append(f"{where} declares {declared_tests} tests, {suite.cases} are in it")

    def _property(self, properties: dict[str, str], attributes: Mapping[str, str]) -> None:
        values = self._cut(attributes)
        if len(properties) < self.limits.properties:
            properties[values.get("name", "")] = values.get("value", "")
        else:
            self._warn(f"holds more than {self.limits.properties} properties in one place: the rest is left out")

    def _cut_text(self, text: str) -> None:
        """Keep of the last piece what still fits, and nothing of those to come."""
        kept = text[: max(0, self.room + len(text))]
        self.texts.pop()
        if kept:
            self.texts.append(kept)
        self.room = 0
        self._warn(f"holds a text of more than {self.limits.text_chars} characters: the rest is left out")

    def _cut(self, attributes: Mapping[str, str]) -> Mapping[str, str]:
        most = self.limits.attribute_chars
        if not attributes or max(map(len, attributes.values())) <= most:
            return attributes
        self._warn(f"holds an attribute of more than {most} characters: the rest is left out")
        return {name: value[:most] for name, value in attributes.items()}

    def _warn(self, text: str) -> None:
        if text not in self.warned:
            self.warned.add(text)
            self.found.warnings.append(text)
