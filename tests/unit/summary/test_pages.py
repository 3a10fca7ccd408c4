import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
from summary_sample import CASES, HOUSE, REFUSED, REPORT, VERDICT, attempt

from ci_tools.model.case import Case, Outcome
from ci_tools.model.report import RunReport
from ci_tools.model.verdict import Verdict
from ci_tools.summary.ctrf import render_ctrf
from ci_tools.summary.html import render_html

STATUS = {"enum": ["passed", "failed", "skipped", "pending", "other"]}
TEXT, WHOLE, ANYTHING = {"type": "string"}, {"type": "integer"}, {"type": "object"}
COUNTS = ("tests", "passed", "failed", "skipped", "pending", "other", "start", "stop")


def html_text(verdict: Verdict, report: RunReport) -> str:
    """The page as a whole."""
    return "".join(render_html(verdict, report))


def ctrf_text(verdict: Verdict, report: RunReport) -> str:
    """The document as a whole."""
    return "".join(render_ctrf(verdict, report))


def closed(required: tuple[str, ...], **properties: object) -> dict[str, object]:
    """The schema of an object with these properties and no other."""
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


ATTEMPT = {
    "attempt": {"type": "integer", "minimum": 1},
    "status": STATUS,
    "duration": WHOLE,
    "message": TEXT,
    "trace": TEXT,
    "line": WHOLE,
}
TEST = closed(
    ("name", "status", "duration"),
    name={"type": "string", "minLength": 1},
    status=STATUS,
    rawStatus=TEXT,
    duration=WHOLE,
    start=WHOLE,
    suite={"type": "array", "minItems": 1, "items": TEXT},
    filePath=TEXT,
    threadId=TEXT,
    message=TEXT,
    trace=TEXT,
    line=WHOLE,
    flaky={"type": "boolean"},
    retries=WHOLE,
    retryAttempts={"type": "array", "minItems": 1, "items": closed(("attempt", "status"), **ATTEMPT)},
    labels={"type": "object", "additionalProperties": TEXT},
)
RESULTS = closed(
    ("tool", "summary", "tests"),
    tool=closed(("name",), name=TEXT, version=TEXT, extra=ANYTHING),
    summary=closed(COUNTS, **dict.fromkeys((*COUNTS, "flaky", "suites", "duration"), WHOLE)),
    tests={"type": "array", "items": TEST},
    environment=closed((), commit=TEXT, extra=ANYTHING),
    extra=ANYTHING,
)
SCHEMA = closed(
    ("results", "reportFormat", "specVersion"),
    reportFormat={"const": "CTRF"},
    specVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    generatedBy=TEXT,
    results=RESULTS,
)
"""What of the published schema (https://ctrf.io) we use: objects are closed there too."""


class Page(HTMLParser):
    """The elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element and its attributes."""
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.texts.append(data)


def test_the_page_loads_and_runs_nothing() -> None:
    """No script, no link, no image, no handler; the policy allows the one style sheet by its hash and nothing else."""
    text = html_text(VERDICT, REPORT)
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "form", "a", "object"} & set(page.elements)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in {"href", "src", "style"}]
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policies = [value for name, value in page.attributes if name == "content" and value and "default-src" in value]
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]


def test_nothing_in_a_report_becomes_an_element() -> None:
    """Markup in every text a test can choose is shown as text."""
    nasty = "</pre></style><script>alert(1)</script><img src=x onerror=y> {{ 7 * 7 }} {% raw %}"
    failure = replace(REFUSED, message=nasty, text=nasty)
    case = Case(test_id=nasty, attempts=(attempt(Outcome.FAILED, failure),))
    cause = replace(
        VERDICT.causes[0], title=nasty, tests=(nasty,), example=failure, example_test=nasty, blocks=nasty, location=nasty
    )
    verdict = replace(VERDICT, headline=nasty, causes=(cause,), notes=(nasty,), profile=nasty)
    harmless = Page(html_text(replace(VERDICT, causes=VERDICT.causes[:1], notes=("x",)), replace(REPORT, cases=CASES[5:6])))
    page = Page(html_text(verdict, replace(REPORT, cases=(case,), unexpected=())))
    assert set(page.elements) <= set(harmless.elements) | {"details", "summary", "pre", "br"}
    assert any("{{ 7 * 7 }}" in text for text in page.texts)


def test_the_page_holds_every_test() -> None:
    """Each case is there by name, the worst first, passed ones too."""
    text = " ".join(Page(html_text(VERDICT, REPORT)).texts)
    places = [text.rindex(case.test_id) for case in CASES]
    assert min(places) > 0
    assert text.rindex("test_hangs") < text.rindex("test_asks_nothing")


def test_a_large_page_is_many_tables() -> None:
    """No browser has to lay out a hundred thousand rows at once: each table has 250 at most, and all are there, in order."""
    cases = tuple(Case(test_id=f"t.py::test_{number:04}", attempts=(attempt(Outcome.PASSED),)) for number in range(601))
    text = html_text(VERDICT, replace(REPORT, cases=cases))
    tables = text.split('<div class="rows">')[1:]
    names = [re.findall(r"<td><code>t\.py::(test_\d+)</code>", table) for table in tables]
    assert [len(found) for found in names] == [250, 250, 101]
    assert [name for found in names for name in found] == [f"test_{number:04}" for number in range(601)]
    assert ".rows { content-visibility: auto;" in text


def test_ctrf_fits_its_schema() -> None:
    """The document fits what the published schema allows and its counts add up."""
    document = json.loads(ctrf_text(VERDICT, REPORT))
    jsonschema.validate(document, SCHEMA)
    summary = document["results"]["summary"]
    assert summary["tests"] == 12
    assert sum(summary[status] for status in ("passed", "failed", "skipped", "pending", "other")) == 12
    assert summary["flaky"] == 1


def test_ctrf_calls_nothing_green_that_is_not() -> None:
    """Only passed is passed: lost, crashed, timed out and unexpectedly passing tests are failed; xfailed is neither."""
    report = replace(REPORT, cases=tuple(Case(test_id=f"t.py::{outcome}", attempts=(attempt(outcome),)) for outcome in Outcome))
    tests = json.loads(ctrf_text(VERDICT, report))["results"]["tests"]
    passed = [test["rawStatus"] for test in tests if test["status"] == "passed"]
    other = [test["rawStatus"] for test in tests if test["status"] in {"other", "skipped", "pending"}]
    assert passed == ["passed"]
    assert sorted(other) == ["skipped", "xfailed"]


def test_ctrf_keeps_every_attempt() -> None:
    """A flaky test says so, with its attempts in order."""
    tests = json.loads(ctrf_text(VERDICT, REPORT))["results"]["tests"]
    (flaky,) = (test for test in tests if test.get("flaky"))
    assert flaky["retries"] == 1
    assert [item["status"] for item in flaky["retryAttempts"]] == ["failed"]


def test_ctrf_survives_odd_times_and_surrogates() -> None:
    """No time and no text makes the document invalid JSON."""
    case = Case(
        test_id="t.py::x\udc80", attempts=(replace(attempt(Outcome.PASSED), duration_s=float("nan"), started_at=float("inf")),)
    )
    document = json.loads(ctrf_text(VERDICT, replace(REPORT, cases=(case,), duration_s=float("nan"))))
    jsonschema.validate(document, SCHEMA)


def test_the_page_tells_what_failed_around_the_tests() -> None:
    """A server that did not start is on the page with its log."""
    assert any("can't open config file" in text for text in Page(html_text(HOUSE, REPORT)).texts)
