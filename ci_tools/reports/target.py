"""What the parser calls while it reads a JUnit file: start tags, end tags and text become cases, within limits."""

import re
from collections.abc import Callable, Mapping, Sequence

from ci_tools.reports.elements import (
    Limits,
    RawCase,
    RawSuite,
    Result,
    Scan,
    case_says_bad,
    declared_bad,
    declared_idle,
    parse_count,
    says_bad,
)

OnCase = Callable[[RawCase], None]
OnPlain = Callable[[RawSuite, Sequence[Mapping[str, str]]], None]

FINAL = {"failure", "error", "skipped"}
INTERIM = {"rerunFailure", "rerunError", "flakyFailure", "flakyError"}
_RESULTS = FINAL | INTERIM
_AGAIN = {"rerun", "retry", "flaky"}
"""Children that say no more than that an attempt came before."""

_PLAIN = 3
"""Attributes of a plain case: name, classname, time. One with others (a status, a file) is looked at closely."""

_BATCH = 500
"""Plain cases that are handed over together: one call for each would cost as much as all that is done with it."""

_MOST_SAID = 50
"""Oddities, and lies, of one file: a thousand more would say nothing else."""

_OUTPUTS = {"system-out", "system-err"}
_CONTAINERS = {"testsuites", "testsuite"}
_FAILURE_LIKE = re.compile(
    r"(?i)(failure|error|failed|fatal|exception|abort(ed)?|crash(ed)?|time(d)?-?out|incomplete|broken|panic"
    r"|unexpected-?(success|pass)|^xpass(ed)?)$"
)
_CASE_LIKE = re.compile(r"(?i)(test|test[_-]?case)$")
"""A case under another name: whether it passed nobody here can say."""
_HARMLESS = {"properties", "property", "system-out", "system-err"}


class RefusalError(Exception):
    """The file is not read any further; its text is the reason."""


class Target:
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
        self.batch: list[Mapping[str, str]] = []
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
        """Refuse the file: entities can be declared nowhere else."""
        raise RefusalError(f"has a DOCTYPE ({name}): refused, a test report needs none")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """A start tag."""
        self.depth += 1
        if tag == "testcase" and self.is_between:
            self.plain = attributes
            self.is_between = False
        else:
            self._start(tag, attributes)

    def data(self, text: str) -> None:
        """A piece of text; only what stands in a result is kept."""
        if self.result is not None:
            self.texts.append(text)
            self.room -= len(text)
            if self.room < 0:
                self._cut_text(text)

    def end(self, tag: str) -> None:
        """An end tag."""
        self.depth -= 1
        plain = self.plain
        if plain is not None:
            self.plain = None
            self.is_between = True
            if (
                self.on_plain is None
                or self.is_at_end
                or len(plain) != _PLAIN
                or "classname" not in plain
                or "name" not in plain
                or "time" not in plain
            ):
                self._start_case(plain, self.depth + 1)
                self._end_case()
                return
            self.batch.append(plain)
            if len(self.batch) >= _BATCH:
                self.hand_over()
        elif self.result is not None:
            if self.depth < self.result_depth:
                self.result = None
        elif self.case is not None:
            if self.depth < self.case_depth:
                self._end_case()
        elif self.suites and self.depth < self.suites[-1].depth and tag.rpartition("}")[2] in _CONTAINERS:
            self.hand_over()
            self._end_suite()

    def close(self) -> None:
        """The parser has come to its end; what it meant is the reader's to say."""

    def hand_over(self) -> None:
        """Give the plain cases that wait to whoever takes them; they are all of one suite."""
        batch = self.batch
        if not batch:
            return
        self.batch = []
        found, room = self.found, self.limits.cases - self.found.cases
        most = self.limits.attribute_chars
        if len(batch) > room or max(max(map(len, plain.values())) for plain in batch) > most:
            for plain in batch:
                self._start_case(plain, self.depth + 1)
                self._end_case()
            return
        found.root = found.root or "testcase"
        found.cases += len(batch)
        self.suite.cases += len(batch)
        if self.on_plain is not None:
            self.on_plain(self.suite, batch)

    def finish(self) -> None:
        """Hand over what was still open when the file ended."""
        self.hand_over()
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
            raise RefusalError(f"is nested deeper than {self.limits.depth} elements")
        tag = tag.rpartition("}")[2]
        self.hand_over()
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
        self.hand_over()
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
        raise RefusalError(f"holds more than {self.limits.cases} cases: the rest is not read")

    def _refuse_results(self) -> None:
        raise RefusalError(f"holds more than {self.limits.results} results in one case: the rest is not read")

    def _start_in_case(self, tag: str, attributes: Mapping[str, str]) -> None:
        case = self.case
        assert case is not None  # noqa: S101 - the caller looked
        depth = self.depth
        if depth == self.case_depth + 1 and tag.lower() in _AGAIN:
            tag = "flakyFailure"
        is_bad = _FAILURE_LIKE.search(tag) or (tag == "warning" and "PHPUnit" in attributes.get("type", ""))
        if tag in _RESULTS or (depth == self.case_depth + 1 and is_bad):
            if tag not in _RESULTS:
                self._warn(f"holds <{tag}>, read as a failure")
                tag = "failure"
            values = self._cut(attributes)
            if len(case.results) < self.limits.results:
                case.results.append(self._begin(Result(tag, values.get("type", ""), values.get("message", ""))))
            else:
                # What is left out may be the one that decides.
                self._refuse_results()
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
            raise RefusalError(f"has the root <{tag[:80]}>, expected <testsuites> or <testsuite>")
        elif tag == "property" and self.suites:
            self._property(self.suites[-1].properties, attributes)
        elif self.suites and tag not in _HARMLESS and _FAILURE_LIKE.search(tag):
            self._start_suite_result("error" if tag.lower() == "error" else "failure", attributes)
        elif self.suites and _CASE_LIKE.match(tag):
            self._lie(f"holds <{tag}>, expected <testcase>: what became of it is not read")

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
            suite.bad += sum(result.kind in {"failure", "error"} for result in case.results) or bool(
                case_says_bad(case.attributes)
            )
        elif case_says_bad(case.attributes):
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
            self._lie(f"{where} declares {strange}, which is no count: what it means nobody knows")
        if bad > suite.bad:
            self._lie(f"{where} declares {bad} failures and errors, {suite.bad} are in it")
        elif not suite.bad and says_bad(suite.attributes):
            self._lie(f"{where} says that it did not pass, and nothing in it says so")
        elif not (suite.cases or suite.bad) and (declared_tests or 0) > declared_idle(suite.attributes):
            self._lie(f"{where} declares {declared_tests} tests, not one of them is in it")
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
        if len(self.warned) < _MOST_SAID and text not in self.warned:
            self.warned.add(text)
            self.found.warnings.append(text)

    def _lie(self, text: str) -> None:
        if len(self.found.lies) < _MOST_SAID:
            self.found.lies.append(text)
