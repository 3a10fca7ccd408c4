import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt
from summary_sample import BLOCKED, CASES, HOUSE, REFUSED, REPORT, VERDICT, attempt

from ci_tools.model.case import Case, Outcome
from ci_tools.model.report import CollectionError, RunReport, ShardReport
from ci_tools.model.verdict import Decision, RuleResult, Verdict
from ci_tools.summary.comment import comment_marker, is_comment_of, render_comment
from ci_tools.summary.markdown import render_summary

PASSED = replace(VERDICT, decision=Decision.PASSED, exit_code=0, headline="PASS 12/12 passed", causes=(), rules=VERDICT.rules[2:])


def large(count: int, text_bytes: int) -> tuple[Verdict, RunReport]:
    """A run in which every one of many tests fails with a long text, each its own cause."""
    failure = replace(REFUSED, text="é" * (text_bytes // 2))
    cases = tuple(Case(test_id=f"tests/t.py::test_{n}", attempts=(attempt(Outcome.FAILED, failure),)) for n in range(count))
    causes = tuple(
        replace(VERDICT.causes[0], tests=(case.test_id,), example=failure, title=f"cause {case.test_id}") for case in cases
    )
    return replace(VERDICT, causes=causes), replace(REPORT, cases=cases)


def test_the_worst_truth_stands_first() -> None:
    """The first line is the verdict's headline with a mark that is green for passed alone."""
    first = {decision: render_summary(replace(VERDICT, decision=decision), REPORT).splitlines()[0] for decision in Decision}
    assert [decision for decision, line in first.items() if "✅" in line] == [Decision.PASSED]
    assert first[Decision.INCOMPLETE] == "# ⚠️ INCOMPLETE 3/12 passed – 1 lost, 8 not passing from 2 causes"


def test_what_to_fix_first_unblocks_most() -> None:
    """Causes are ordered by the tests they stop, and each says how to repeat it."""
    text = render_summary(VERDICT, REPORT)
    assert text.index("ConnectionRefusedError: redis") < text.index("AssertionError: assert 'pending'")
    assert "stops 5 tests (5 errors); fixture redis" in text
    assert "nox -s integration -- 'tests/test_sign_in.py::test_provider[github]'" in text


def test_what_is_broken_comes_before_why() -> None:
    """Each area is a test file in plain words, least works first; what works is not listed, nor is an area counted twice."""
    green = Case(test_id="tests/test_search.py::test_finds", attempts=(attempt(Outcome.PASSED),))
    again = tuple(replace(case, configuration="postgres") for case in CASES)
    unknown = CollectionError(path="tests\\events_test.py", failure=REFUSED)
    junit = Case(test_id="com.acme.Billing::pays", attempts=(attempt(Outcome.FAILED, REFUSED),))
    report = replace(REPORT, cases=(*CASES, *again, green, junit), collection_errors=(unknown,))
    text = render_summary(VERDICT, report)
    lines = [
        "- **events** (`tests\\events_test.py`): cannot be collected, its tests are unknown",
        "- **sign in** (`tests/test_sign_in.py`): none of 5 tests passes",
        "- **com.acme.Billing** (`com.acme.Billing`): its one test does not pass",
        "- **engine** (`tests/test_engine.py`): 3 of 5 tests do not pass",
        "- **bridge** (`tests/test_bridge.py`): 1 of 2 tests does not pass",
    ]
    assert "\n".join(["## What is broken", "", *lines, "", "## What to fix first"]) in text
    assert "What is broken" not in render_summary(PASSED, replace(REPORT, cases=(green,)))


def test_every_kind_of_finding_is_told() -> None:
    """Rules with expected and actual, lost, flaky, slow, fast, leaks, stacks, services, commit, tool and inputs are there."""
    text = render_summary(VERDICT, REPORT)
    for told in (
        "<code>12 tests</code> | <code>11</code> | incomplete",
        "## Lost tests: planned and never reported (1)",
        "## Flaky: passed after a failed attempt (1)",
        "Slowest 10 tests",
        "Suspiciously fast: 1 passed test under 1 ms",
        "Left a `task` behind",
        "time.sleep(3600)",
        "<code>7.0.15</code> | native | <code>/usr/bin/redis-server</code>",
        "`0123456789abcdef0123456789abcdef01234567`",
        "`ci-tools 0.1.0`",
        "worker w1 was ended by SIGKILL",
        "| <code>1/2</code> |",
        "ab" * 32,
        "2 tests have no timings yet",
    ):
        assert told in text


def test_services_of_one_binary_are_one_row() -> None:
    """Eight workers with a server each do not make eight rows."""
    text = render_summary(replace(VERDICT, services=()), REPORT)
    assert text.count("/usr/bin/redis-server") == 1


def test_each_test_counts_in_the_shard_of_its_last_attempt() -> None:
    """The table of shards adds up to the cases, with a row for those no shard reported."""
    text = render_summary(VERDICT, REPORT)
    table = text.split("## Shards\n\n")[1].split("\n\n")[0].splitlines()
    numbers = [[int(cell) for cell in re.findall(r"\| (\d+) (?=\|)", row)] for row in table[2:]]
    assert [sum(row) for row in numbers] == [6, 5, 1]


def test_a_missing_shard_has_a_row() -> None:
    """A shard that sent no report is in the table and in the list of troubles."""
    text = render_summary(VERDICT, replace(REPORT, missing_shards=("3/3",)))
    assert "| <code>3/3</code> | 0 |" in text
    assert "sent no report" in text
    assert "## Missing shards: they sent no report (1)" in text


def test_completeness_not_proven_is_said() -> None:
    """Without a plan the summary says so near the top."""
    text = render_summary(replace(VERDICT, is_complete_proven=False), REPORT)
    assert "Completeness is not proven" in "\n".join(text.splitlines()[:6])


def test_an_interrupted_run_says_by_what() -> None:
    """SIGTERM is named in the head."""
    assert "Interrupted by `SIGTERM`" in render_summary(VERDICT, replace(REPORT, interrupted_by="SIGTERM"))


@pytest.mark.parametrize("budget", [2_000, 5_000, 20_000, 60_000, 200_000, 1_000_000])
@pytest.mark.parametrize(("count", "text_bytes"), [(0, 0), (3, 40_000), (400, 3_000), (2_000, 200)])
def test_the_budget_is_kept_and_nothing_is_cut(budget: int, count: int, text_bytes: int) -> None:
    """Under any budget the text fits in UTF-8 bytes, every fence and fold is closed, and its end says what was left out."""
    verdict, report = large(count, text_bytes)
    text = render_summary(verdict, report, budget_bytes=budget, artifact="ci-artifacts-1")
    assert len(text.encode("utf-8")) <= budget
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    assert [token.type for token in tokens][-3:] == ["paragraph_open", "inline", "paragraph_close"]
    assert text.count("<details>") == text.count("</details>") - text.count("```text\n</details>")
    last = tokens[-2].content
    assert last.startswith(("Left out here: ", "Nothing was left out here"))
    assert "`ci-artifacts-1`" in last
    assert text.splitlines()[0] == "# ⚠️ INCOMPLETE 3/12 passed – 1 lost, 8 not passing from 2 causes"


def test_what_is_left_out_adds_up() -> None:
    """The causes shown and the causes left out are all causes."""
    verdict, report = large(400, 3_000)
    text = render_summary(verdict, report, budget_bytes=60_000)
    left = re.search(r"causes \((\d+)\)", text.splitlines()[-1])
    assert left is not None
    assert int(left[1]) + len(re.findall(r"^### \d+\. ", text, re.MULTILINE)) == 400


def test_causes_are_the_last_to_go() -> None:
    """Where little room is left, details of passing tests are gone and causes are there."""
    verdict, report = large(400, 3_000)
    text = render_summary(verdict, report, budget_bytes=20_000)
    assert "### 1. " in text
    assert "Slowest" not in text
    assert "slowest tests" in text.splitlines()[-1]


def test_no_text_of_a_test_becomes_markup() -> None:
    """Nothing that tests said makes a link, an image, a heading, emphasis or an element."""
    nasty = "](http://e.example) <img src=x> @all #12 </details>\n# head\n| a | ::error::x"
    failure = replace(REFUSED, message=nasty, text=nasty, type_name=nasty)
    case = Case(test_id=nasty, attempts=(attempt(Outcome.FAILED, failure), attempt(Outcome.PASSED, shard=nasty)))
    cause = replace(
        VERDICT.causes[0], title=nasty, tests=(nasty, nasty), example=failure, example_test=nasty, blocks=nasty, location=nasty
    )
    rule = RuleResult(rule=nasty, holds=False, expected=nasty, actual=nasty, details=(nasty,))
    verdict = replace(VERDICT, headline=nasty, profile=nasty, commit=nasty, causes=(cause,), rules=(rule,), notes=(nasty,))
    report = replace(
        REPORT,
        cases=(case, replace(case, attempts=case.attempts[:1])),
        unexpected=(nasty,),
        missing_shards=(nasty,),
        shards=(ShardReport(run_id="", shard=nasty, cases=(), corrupt=(nasty,)),),
        services=(replace(REPORT.services[0], path=nasty, reason=nasty, version=nasty),),
    )
    tokens = MarkdownIt("gfm-like", {"html": True, "linkify": True}).parse(render_summary(verdict, report))
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {
        "text",
        "text_special",
        "code_inline",
        "html_inline",
        "softbreak",
        "strong_open",
        "strong_close",
    }
    ours = {"<code>", "</code>", "<details>", "<summary>", "</summary>", "</details>"}
    assert {child.content for child in inline if child.type == "html_inline"} <= ours
    blocks = "".join(token.content for token in tokens if token.type == "html_block")
    assert set(re.findall(r"<[^>]*>", blocks)) <= ours
    headings = [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]
    assert "head" not in headings


def test_a_passed_run_is_short() -> None:
    """Nothing to fix, no rule broken: neither section is there."""
    text = render_summary(PASSED, replace(REPORT, cases=CASES[9:11]))
    assert "What to fix first" not in text
    assert "Rules that do not hold" not in text


def test_a_comment_is_found_again_by_its_key() -> None:
    """The marker stands first, fits this key alone, and a key cannot end it."""
    text = render_comment(VERDICT, REPORT, key="ci / shard --> <b>")
    assert text.splitlines()[0] == comment_marker("ci / shard --> <b>")
    assert re.fullmatch(r"<!-- ci-tools:summary key=[\w./-]+ -->", text.splitlines()[0])
    assert "--" not in text.splitlines()[0].removeprefix("<!--").removesuffix("-->")
    assert is_comment_of("\n" + text.replace("\n", "\r\n"), "ci / shard --> <b>")
    assert not is_comment_of(text, "other")
    assert not is_comment_of("said: " + text, "ci / shard --> <b>")


def test_a_comment_fits_githubs_limit() -> None:
    """However much went wrong, the body stays below 65 536 characters."""
    verdict, report = large(2_000, 3_000)
    assert len(render_comment(verdict, report, key="k")) < 65_536


def test_blocked_tests_are_listed_up_to_the_rungs_count() -> None:
    """All five tests of a cause are named where there is room."""
    text = render_summary(VERDICT, REPORT)
    listed = text.split("All 5 tests</summary>")[1].split("</details>")[0]
    assert listed.count("\n- ") == len(BLOCKED)


def test_where_nothing_fits_the_headline_remains() -> None:
    """Below every rung the head and the last line are there, and the text says that all else is elsewhere."""
    text = render_summary(VERDICT, REPORT, budget_bytes=100)
    assert text.splitlines()[0].endswith(VERDICT.headline)
    assert text.splitlines()[-1].startswith("Left out here: everything below the headline (1). All of it is in `report.json`")


def test_a_cause_may_know_next_to_nothing() -> None:
    """Without place, command, text, shards and reach a cause still says what it is and how much it stops."""
    bare = replace(
        VERDICT.causes[0], location="", command="", shards=(), example=replace(REFUSED, text="", message=""), failures=0, errors=0
    )
    text = render_summary(replace(VERDICT, causes=(bare,)), REPORT)
    block = text.split("### 1. ")[1].split("\n## ")[0]
    assert block.splitlines()[2:] == ["It stops 1 test.", "", "- example: `tests/test_bridge.py::test_delivers`"]


def test_several_configurations_have_a_column() -> None:
    """Shards and tests of named configurations say which one they belong to."""
    shards = tuple(replace(shard, configuration="valkey") for shard in REPORT.shards)
    cases = tuple(replace(case, configuration="valkey") for case in CASES)
    text = render_summary(VERDICT, replace(REPORT, shards=shards, cases=cases))
    assert "| shard | configuration |" in text
    assert "| <code>1/2</code> | <code>valkey</code> |" in text
    assert "test_lost (valkey)" in text


def test_a_leak_without_a_stack_is_named() -> None:
    """What was left behind is told also where nobody knows who made it."""
    leak = replace(CASES[8].attempts[0].leaks[0], created_stack="")
    case = replace(CASES[8], attempts=(replace(CASES[8].attempts[0], leaks=(leak,)),))
    text = render_summary(VERDICT, replace(REPORT, cases=(case,)))
    assert text.count("Left a `task` behind: `<Task pending name='pump'>`") == 1


def test_a_service_that_was_adopted_says_where() -> None:
    """Without a path the address stands, and a time that is not known is a dash."""
    adopted = replace(REPORT.services[0], path="", start_ms=0.0)
    text = render_summary(replace(VERDICT, services=(adopted,)), REPORT)
    assert "<code>127.0.0.1:6381</code> | <code>redis-server is on PATH</code> | – |" in text


def test_what_failed_around_the_tests_stands_before_the_causes() -> None:
    """No test can be blamed for a server that did not start: it is told whole, first, at every size."""
    for budget in (1_000_000, 4_000):
        text = render_summary(HOUSE, REPORT, budget_bytes=budget)
        assert "can't open config file\n  hint: `ci-tools services up`\n```" in text
        assert text.index("What went wrong around the tests") < text.index("What to fix first")


def test_a_run_without_services_has_no_section_for_them() -> None:
    """Nothing is said about services where there were none."""
    assert "## Services" not in render_summary(replace(VERDICT, services=()), replace(REPORT, services=()))
