import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from summary_sample import HOUSE, REPORT, VERDICT

from ci_tools.cli import parse
from ci_tools.model.case import Outcome
from ci_tools.model.verdict import Decision
from ci_tools.summary.progress import Progress, render_progress
from ci_tools.summary.terminal import columns, fit, render_verdict

COLOUR = re.compile(r"\x1b\[[0-9;]+m")


def test_the_verdict_stands_last() -> None:
    """The last two lines are the headline and what the process ends with."""
    lines = render_verdict(VERDICT, REPORT, width=100).splitlines()
    assert lines[-2:] == [VERDICT.headline, "verdict incomplete · exit code 11 · 1 min 08 s"]


def test_commands_to_repeat_are_whole() -> None:
    """Each cause and each shard that is not green has its command, uncut on the narrowest terminal."""
    text = render_verdict(VERDICT, REPORT, width=40)
    assert "     nox -s integration -- 'tests/test_sign_in.py::test_provider[github]'\n" in text
    assert "  ci-tools run --shard 1/2\n" in text
    assert "  ci-tools run --shard 2/2\n" in text


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_nothing_but_commands_is_wider_than_the_terminal(width: int) -> None:
    """Long test IDs and messages are cut in the middle to the width."""
    for line in render_verdict(VERDICT, REPORT, width=width).splitlines():
        assert columns(line) <= width or "nox -s" in line


def test_colours_change_no_text() -> None:
    """With colours the same characters are shown; without them no escape is there."""
    plain = render_verdict(VERDICT, REPORT, width=100)
    assert "\x1b" not in plain
    assert COLOUR.sub("", render_verdict(VERDICT, REPORT, width=100, color=True)) == plain


def test_a_test_cannot_paint() -> None:
    """Escape sequences in a title are shown, not obeyed."""
    cause = replace(VERDICT.causes[0], title="\x1b]0;owned\x07\x1b[2Jgone", example_test="a\x1b[1Ab", command="x \x1b[5m")
    text = render_verdict(replace(VERDICT, causes=(cause,)), REPORT, width=100)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "gone" in text


def test_a_passed_run_repeats_nothing() -> None:
    """Nothing to repeat is offered where the verdict is passed."""
    verdict = replace(VERDICT, decision=Decision.PASSED, exit_code=0, causes=(), rules=())
    assert "repeat" not in render_verdict(verdict, REPORT)


def test_long_lists_end_with_their_rest() -> None:
    """More than ten missing shards are counted, not printed."""
    report = replace(REPORT, missing_shards=tuple(f"{n}/40" for n in range(1, 36)))
    text = render_verdict(VERDICT, report, width=100)
    assert "35 missing shards" in text
    assert "  … and 25 more\n" in text


@given(st.text(max_size=80), st.integers(min_value=1, max_value=90))
def test_fitted_text_fits(text: str, width: int) -> None:
    """Wide characters count two columns; the result is never wider than asked."""
    assert columns(fit(text, width)) <= width


def test_wide_characters_count_two() -> None:
    """A Japanese name needs twice its characters, a combining mark nothing."""
    assert columns("試験") == 4
    assert columns(unicodedata.normalize("NFD", "é")) == 1


def test_progress_shows_counts_and_the_longest_test() -> None:
    """The line has the bar, the worst outcome first, the time, and which test runs longest."""
    progress = Progress(
        elapsed_s=3.2,
        expected=18,
        counts={Outcome.PASSED: 8, Outcome.FAILED: 1},
        in_flight={"tests/a.py::test_fast": 0.1, "tests/a.py::test_slow": 2.0},
    )
    assert render_progress(progress, width=100) == (
        "[██████████··········] 9/18  1 failed · 8 passed  3.2 s  tests/a.py::test_slow (2.0 s)"
    )


def test_progress_is_never_full_too_early() -> None:
    """999 of 1000 is no full bar, 1000 of 1000 is."""
    almost = Progress(elapsed_s=1, expected=1000, counts={Outcome.PASSED: 999})
    done = Progress(elapsed_s=1, expected=1000, counts={Outcome.PASSED: 1000})
    assert "·]" in render_progress(almost)
    assert "·]" not in render_progress(done)


@given(st.integers(min_value=20, max_value=150), st.text(max_size=60), st.integers(min_value=0, max_value=30))
def test_progress_is_one_line_of_the_width(width: int, name: str, count: int) -> None:
    """Whatever runs, the line stays one line and within the terminal."""
    progress = Progress(elapsed_s=1, expected=20, counts={Outcome.PASSED: count}, in_flight={name: 1.0})
    line = render_progress(progress, width=width)
    assert columns(line) <= width
    assert len(line.splitlines()) == 1


def test_progress_without_a_plan_names_its_stage() -> None:
    """Before the number of tests is known the stage stands instead of the bar."""
    assert render_progress(Progress(elapsed_s=0.5, stage="collect")) == "collect  no test  500 ms"


def test_what_makes_a_verdict_weaker_is_said_beside_it() -> None:
    """An interrupted run and one without a plan say so in the last line."""
    verdict = replace(VERDICT, is_complete_proven=False)
    last = render_verdict(verdict, replace(REPORT, interrupted_by="SIGINT")).splitlines()[-1]
    assert last == "interrupted by SIGINT · verdict incomplete · exit code 11 · 1 min 08 s · completeness not proven"


def test_more_than_ten_causes_are_counted() -> None:
    """The eleventh cause and those after it are in the file, not on the terminal; one without a command shows none."""
    causes = tuple(replace(VERDICT.causes[0], title=f"cause {number}", command="", location="") for number in range(13))
    text = render_verdict(replace(VERDICT, causes=causes), REPORT)
    assert "  … and 3 more causes: summary.md has them\n" in text
    assert "nox -s" not in text


def test_a_whole_run_offers_no_shard() -> None:
    """A run in one piece is repeated by its causes' commands alone."""
    cases = tuple(
        replace(case, attempts=tuple(replace(attempt, shard="1/1") for attempt in case.attempts)) for case in REPORT.cases
    )
    report = replace(REPORT, cases=cases, shards=(replace(REPORT.shards[0], shard="1/1"),))
    assert "repeat a shard" not in render_verdict(VERDICT, report)


def test_the_shards_of_a_configuration_are_repeated_as_one_command() -> None:
    """A shard that sent no report in two configurations is one command, which `ci-tools run` understands."""
    report = replace(REPORT, cases=(), shards=(), missing_shards=("3/4 of postgres", "3/4 of sqlite", "4/4"))
    lines = render_verdict(VERDICT, report, repeat="ci-tools run").splitlines()
    wanted = ["ci-tools run --shard 3/4 --configuration postgres --configuration sqlite", "ci-tools run --shard 4/4"]
    assert wanted == [line.strip() for line in lines if line.strip().startswith("ci-tools run --shard")]
    assert ["postgres", "sqlite"] == parse(wanted[0].split()[1:]).configuration


def test_what_was_given_twice_is_named() -> None:
    """An input that counted once although it was given twice stands in the verdict's last lines."""
    told = render_verdict(VERDICT, replace(REPORT, repeated_inputs=("shard 2/4",)))
    assert "1 given more than once, counted once\n  shard 2/4\n" in told


def test_progress_on_a_narrow_terminal_is_cut() -> None:
    """Where bar and counts do not fit, the line is cut; where only the test's name does not, it is left out."""
    progress = Progress(elapsed_s=1, expected=1000, counts={Outcome.PASSED: 900, Outcome.FAILED: 90}, in_flight={"t": 1.0})
    assert columns(render_progress(progress, width=30)) == 30
    assert "t (1.0 s)" not in render_progress(progress, width=70)


def test_what_failed_around_the_tests_is_told_whole() -> None:
    """The error of a service stands first, with its log and hint, uncut."""
    lines = render_verdict(HOUSE, REPORT, width=40).splitlines()
    assert lines[1:4] == [
        "error: redis did not answer on 127.0.0.1:6381 within 20 s",
        "  log: Fatal error, can't open config file",
        "  hint: `ci-tools services up`",
    ]
