from dataclasses import replace

from summary_sample import CASES, HOUSE, REPORT, VERDICT

from ci_tools.model.case import Frame
from ci_tools.model.verdict import Decision
from ci_tools.summary.annotations import render_annotations

FAILED = replace(VERDICT, decision=Decision.FAILED, rules=VERDICT.rules[:1])


def test_one_annotation_a_cause_ordered_by_tests_unblocked() -> None:
    """The cause that stops five tests comes before the one that stops one, each at its place."""
    first, second = render_annotations(FAILED, REPORT)
    assert first.startswith(
        "::error title=ConnectionRefusedError%3A redis at 127.0.0.1%3A<n>,file=tests/conftest.py,line=41::It stops 5"
    )
    assert "file=tests/test_bridge.py,line=88::" in second
    assert "%0ARepeat: nox -s integration -- tests/test_bridge.py::test_delivers%0A" in second


def test_an_incomplete_verdict_comes_first() -> None:
    """No cause stands for a lost test: the broken rule has an annotation of its own, before the causes."""
    lines = render_annotations(VERDICT, REPORT)
    assert lines[0] == (
        "::error title=INCOMPLETE 3/12 passed – 1 lost%2C 8 not passing from 2 causes::complete: expected 12 tests, actual 11"
    )
    assert len(lines) == 3


def test_a_failure_without_a_cause_is_annotated() -> None:
    """Where only rules say no, they are told."""
    (line,) = render_annotations(replace(FAILED, causes=()), REPORT)
    assert line.endswith("::no-failures: expected 0 not passing, actual 8")


def test_ten_at_most_and_the_last_says_how_many_more() -> None:
    """Of 46 causes nine are shown, and the tenth line counts the other 37."""
    causes = tuple(replace(VERDICT.causes[0], title=f"cause {number}") for number in range(46))
    lines = render_annotations(replace(FAILED, causes=causes), REPORT)
    assert len(lines) == 10
    assert lines[9] == "::error title=and 37 more::… and 37 more: the summary of this run has them all."


def test_exactly_ten_are_all_shown() -> None:
    """Ten causes need no line that counts the rest."""
    causes = tuple(replace(VERDICT.causes[0], title=f"cause {number}") for number in range(10))
    lines = render_annotations(replace(FAILED, causes=causes), REPORT)
    assert ["more" in line for line in lines] == [False] * 10


def test_a_place_outside_the_project_is_not_annotated() -> None:
    """An absolute path or one with .. cannot be shown by GitHub: the test's own file stands instead."""
    example = replace(VERDICT.causes[0].example, frame=Frame(path="../secrets", line=1))
    cause = replace(VERDICT.causes[0], location="/usr/lib/python3/asyncio/base.py:12", example=example)
    (line,) = render_annotations(replace(FAILED, causes=(cause,)), REPORT, path_prefix="services/api/")
    assert ",file=services/api/tests/test_bridge.py,line=1::" in line


def test_a_long_message_is_shortened() -> None:
    """GitHub drops an annotation whose message is too long: ours stays below 64 KB with its repeat command."""
    cause = replace(VERDICT.causes[0], example=replace(VERDICT.causes[0].example, message="x" * 200_000))
    (line,) = render_annotations(replace(FAILED, causes=(cause,)), REPORT)
    assert len(line.encode()) < 16_000
    assert "Repeat: nox" in line


def test_a_passed_run_warns_of_flaky_tests_only() -> None:
    """Passed: no error; flaky tests are one warning; without them there is nothing."""
    passed = replace(VERDICT, decision=Decision.PASSED, rules=(), causes=())
    assert render_annotations(passed, REPORT) == (
        "::warning title=1 flaky test%3A passed after a failed attempt::tests/test_bridge.py::test_reconnects",
    )
    assert render_annotations(passed, replace(REPORT, cases=CASES[:1])) == ()


def test_a_cause_without_any_place_has_none() -> None:
    """Where no path of the project is known, the annotation stands at the run."""
    example = replace(VERDICT.causes[0].example, frame=None)
    cause = replace(VERDICT.causes[0], location="", example=example, example_test="collection")
    (line,) = render_annotations(replace(FAILED, causes=(cause,)), REPORT)
    assert "file=" not in line


def test_what_failed_around_the_tests_is_the_first_annotation() -> None:
    """A server that did not start comes before everything that failed for want of it."""
    first = render_annotations(HOUSE, REPORT)[0]
    assert first.startswith("::error title=redis did not answer on 127.0.0.1%3A6381 within 20 s::redis did not answer")
    assert first.endswith("%0A  hint: `ci-tools services up`")
