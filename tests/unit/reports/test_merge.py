"""The merge: every expected test exactly once, whatever the inputs' order, number and grouping."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from report_sample import case, plan_of, shard_report

from ci_tools.model.case import Case, Outcome
from ci_tools.model.report import RunReport, ShardReport
from ci_tools.model.shard import Plan, digest_of
from ci_tools.reports.merge import merge, split

A, B, C, D = (f"tests/test_a.py::test_{name}" for name in "abcd")


def outcomes(run: RunReport) -> dict[str, str]:
    """Test ID → outcome."""
    return {item.test_id: item.outcome.value for item in run.cases}


def foreign(name: str, *cases: Case) -> ShardReport:
    """A foreign file's report, its digest made of what it holds."""
    labelled = tuple(
        replace(item, attempts=tuple(replace(attempt, shard=f"file:{name}") for attempt in item.attempts)) for item in cases
    )
    digest = digest_of(f"{item.test_id}{item.outcome}" for item in cases).removeprefix("sha256:")
    return ShardReport(run_id="", shard=f"file:{name}", cases=labelled, source=name, digest=digest)


# Accounting.


def test_all_shards_make_a_proven_whole() -> None:
    """Two shards that ran what the plan says make a complete run."""
    run = merge([plan_of([A], [B])], [shard_report("1/2", case(A, shard="1/2")), shard_report("2/2", case(B, shard="2/2"))])
    assert (outcomes(run), run.expected, run.is_complete_proven, run.problems) == ({A: "passed", B: "passed"}, 2, True, ())


def test_a_missing_shards_tests_are_lost() -> None:
    """The tests of a shard without a report are lost, and the shard is named."""
    run = merge([plan_of([A], [B, C])], [shard_report("1/2", case(A, shard="1/2"))])
    assert (outcomes(run), run.missing_shards) == ({A: "passed", B: "lost", C: "lost"}, ("2/2",))


def test_a_shard_that_is_planned_empty_is_not_missed() -> None:
    """A suite with fewer pieces than shards has shards of which no report is expected."""
    run = merge([plan_of([A], [])], [shard_report("1/2", case(A, shard="1/2"))])
    assert (run.missing_shards, run.expected_shards) == ((), ("1/2",))


def test_a_test_its_shard_does_not_have_is_lost() -> None:
    """A report without one of its planned tests loses it."""
    run = merge([plan_of([A, B])], [shard_report("1/1", case(A))])
    assert outcomes(run) == {A: "passed", B: "lost"}


def test_another_shards_pass_proves_nothing() -> None:
    """A test counts where it was planned: a pass from elsewhere is a stray and the test is lost."""
    run = merge([plan_of([A], [B])], [shard_report("1/2", case(A, shard="1/2"), case(B, shard="1/2"))])
    assert (outcomes(run), [item.test_id for item in run.strays]) == ({A: "passed", B: "lost"}, [B])


def test_a_duplicate_is_named_and_the_planned_result_counts() -> None:
    """Two shards report one test: the planned one's result counts, the other is a stray."""
    reports = [
        shard_report("1/2", case(A, Outcome.FAILED, shard="1/2")),
        shard_report("2/2", case(B, shard="2/2"), case(A, shard="2/2")),
    ]
    run = merge([plan_of([A], [B])], reports)
    assert (outcomes(run), run.duplicated) == ({A: "failed", B: "passed"}, (A,))


def test_an_unplanned_test_is_named() -> None:
    """What the plan does not have is in the report and among the unexpected."""
    run = merge([plan_of([A])], [shard_report("1/1", case(A), case(B))])
    assert (outcomes(run), run.unexpected, run.expected) == ({A: "passed", B: "passed"}, (B,), 1)


def test_the_same_report_twice_counts_once() -> None:
    """One shard's report under two paths is one report, and that is said."""
    report = shard_report("1/1", case(A), source="a")
    run = merge([plan_of([A])], [report, replace(report, source="b", digest="other")])
    assert (outcomes(run), run.repeated_inputs, run.problems) == ({A: "passed"}, ("shard 1/1",), ())


def test_two_different_reports_of_one_shard_contradict() -> None:
    """Two reports of one shard and attempt that differ make it corrupt; the worst result counts."""
    run = merge([plan_of([A])], [shard_report("1/1", case(A)), shard_report("1/1", case(A, Outcome.FAILED))])
    assert (outcomes(run), len(run.corrupt)) == ({A: "failed"}, 1)


def test_the_newest_attempt_of_each_shard_decides() -> None:
    """A shard that ran again: its newest attempt counts, the earlier one is an earlier attempt of its tests."""
    first = shard_report("1/2", case(A, Outcome.FAILED, shard="1/2"))
    again = shard_report("1/2", case(A, shard="1/2", run_attempt=2), run_attempt=2)
    other = shard_report("2/2", case(B, shard="2/2"))
    run = merge([plan_of([A], [B])], [again, other, first])
    only = next(item for item in run.cases if item.test_id == A)
    assert ([attempt.run_attempt for attempt in only.attempts], only.is_flaky) == ([1, 2], True)


def test_an_attempt_whose_earlier_ones_are_gone_is_said() -> None:
    """Without the report of any earlier attempt nobody knows what is flaky; a run of one report has no other to wait for."""
    one = shard_report("1/2", case(A, shard="1/2"))
    again = shard_report("2/2", case(B, shard="2/2", run_attempt=2), run_attempt=2)
    before = shard_report("2/2", case(B, Outcome.FAILED, shard="2/2"))
    said = "shard 2/2 attempt 2: no earlier attempt sent a report, so which of its tests are flaky nobody knows"
    assert [merge([], reports).warnings for reports in ([one, again], [one, before, again], [again])] == [(said,), (), ()]


def test_a_test_the_newest_attempt_lacks_is_lost() -> None:
    """A pass of an earlier run attempt does not stand for a test that the newest one does not have."""
    first = shard_report("1/1", case(A), case(B))
    again = shard_report("1/1", case(A, run_attempt=2), run_attempt=2)
    assert outcomes(merge([plan_of([A, B])], [first, again])) == {A: "passed", B: "lost"}


def test_reports_of_another_run_commit_or_plan_are_problems() -> None:
    """Run, commit and plan of a report are compared with what was asked and planned."""
    plan = plan_of([A])
    odd = shard_report("1/1", case(A), run_id="run-0", commit="beef", plan_digest="sha256:other")
    run = merge([plan], [odd], run_id="run-1")
    assert [text.partition(" is ")[2] or text for text in run.problems] == [
        "of commit beef, the plan of c0ffee",
        "of run run-0, expected run-1",
        f"shard 1/1 ran by another plan (sha256:other, expected {plan.expected_digest[:19]})",
    ]


def test_a_shard_that_was_given_other_tests_is_a_problem() -> None:
    """The digest over a shard's tests must be the plan's."""
    report = replace(shard_report("1/1", case(A)), expected_digest="sha256:else")
    assert merge([plan_of([A])], [report]).problems == ("shard 1/1 was given other tests than the plan gives it",)


def test_a_shard_the_plan_does_not_have_is_a_problem() -> None:
    """A report of shard 2/3 does not fit a plan of two shards."""
    run = merge([plan_of([A])], [shard_report("1/1", case(A)), shard_report("2/3", case(A, shard="2/3"))])
    assert "shard 2/3 is not in the plan, which has 1 shard(s)" in run.problems


def test_configurations_have_plans_of_their_own() -> None:
    """One test in two configurations is two tests; a configuration without a report loses all of its."""
    plans = [plan_of([A], configuration="redis"), plan_of([A], configuration="postgres")]
    report = shard_report("1/1", replace(case(A), configuration="redis"), configuration="redis")
    run = merge(plans, [report])
    assert [(item.configuration, item.outcome.value) for item in run.cases] == [("postgres", "lost"), ("redis", "passed")]
    assert run.missing_shards == ("1/1 of postgres",)


def test_a_configuration_without_a_plan_proves_nothing() -> None:
    """Reports that no plan speaks of are kept, and completeness is not proven."""
    extra = shard_report("1/1", replace(case(A), configuration="old"), configuration="old")
    run = merge([plan_of([A])], [shard_report("1/1", case(A)), extra])
    assert (run.is_complete_proven, len(run.problems), len(run.cases)) == (False, 1, 2)


# Without a plan.


def test_without_a_plan_the_labels_say_how_many_shards_there_are() -> None:
    """A report of shard 1/3 says that two more are missing."""
    run = merge([], [shard_report("1/3", case(A, shard="1/3"))])
    assert (run.missing_shards, run.is_complete_proven) == (("2/3", "3/3"), False)


def test_one_name_in_two_foreign_files_is_two_tests() -> None:
    """A matrix writes the same names into every file: no file's pass stands for another's failure."""
    run = merge([], [foreign("py311.xml", case(A)), foreign("py312.xml", case(A, Outcome.FAILED))])
    assert [(item.configuration, item.outcome.value) for item in run.cases] == [
        ("file:py311.xml", "passed"),
        ("file:py312.xml", "failed"),
    ]
    assert (run.expected, run.duplicated) == (2, ())


def test_two_foreign_files_of_one_name_are_two_files() -> None:
    """``junit.xml`` in two folders: both count, told apart by their content."""
    run = merge([], [foreign("junit.xml", case(A)), foreign("junit.xml", case(B, Outcome.FAILED))])
    assert (outcomes(run), run.problems, len({shard.shard for shard in run.shards})) == ({A: "passed", B: "failed"}, (), 2)


def test_the_same_foreign_bytes_count_once() -> None:
    """One file under two names is one file."""
    one = foreign("a.xml", case(A))
    run = merge([], [one, replace(foreign("b.xml", case(A)), digest=one.digest)])
    assert (len(run.cases), len(run.repeated_inputs)) == (1, 1)


def test_foreign_names_are_found_in_the_plan() -> None:
    """Pytest's dotted address stands for the plan's test ID."""
    run = merge(
        [plan_of(["tests/unit/check_a.py::TestKind::test_x[1.5]"])],
        [foreign("j.xml", case("tests.unit.check_a.TestKind::test_x[1.5]"))],
    )
    assert (outcomes(run), run.is_complete_proven) == ({"tests/unit/check_a.py::TestKind::test_x[1.5]": "passed"}, True)


def test_an_absurd_number_of_shards_is_not_listed() -> None:
    """A label that claims a million shards is a problem, not a million names."""
    run = merge([], [shard_report("1/999999", case(A, shard="1/999999"))])
    assert (len(run.missing_shards), len(run.problems)) == (4095, 1)


# Properties.

TESTS = tuple(f"tests/test_{file}.py::test_{name}" for file in "ab" for name in "wxyz")


@st.composite
def runs(draw: st.DrawFn) -> tuple[list[Plan], list[ShardReport]]:
    """A plan, or none, and what shards of it might send: partly, twice, in several attempts, with tests of others."""
    count = draw(st.integers(1, 3))
    homes = draw(st.lists(st.integers(1, count), min_size=len(TESTS), max_size=len(TESTS)))
    planned: list[list[str]] = [[] for _ in range(count)]
    for test_id, home in zip(TESTS, homes, strict=True):
        planned[home - 1].append(test_id)
    reports = []
    for _ in range(draw(st.integers(0, 5))):
        label = f"{draw(st.integers(1, count))}/{count}"
        attempt = draw(st.integers(1, 2))
        chosen = draw(st.lists(st.sampled_from(TESTS), unique=True, max_size=5))
        cases = tuple(case(test_id, draw(st.sampled_from(list(Outcome))), shard=label, run_attempt=attempt) for test_id in chosen)
        report = shard_report(label, *cases, run_attempt=attempt, expected_digest="")
        reports.append(report)
        if draw(st.booleans()):
            reports.append(replace(report, source="copy"))
    for name in draw(st.lists(st.sampled_from(["a.xml", "b.xml"]), max_size=2)):
        chosen = draw(st.lists(st.sampled_from(TESTS), unique=True, max_size=4))
        reports.append(foreign(name, *(case(test_id, draw(st.sampled_from(list(Outcome)))) for test_id in chosen)))
    plans = [plan_of(*planned)] if draw(st.booleans()) else []
    return plans, reports


def without_repeats(run: RunReport) -> RunReport:
    """The run without the names of what was given twice and without where things were read."""
    return replace(run, repeated_inputs=(), shards=tuple(replace(shard, source="") for shard in run.shards))


@given(runs(), st.randoms())
def test_order_changes_nothing(run: tuple[list[Plan], list[ShardReport]], random: object) -> None:
    """Any order of the inputs gives the same report."""
    plans, reports = run
    shuffled = list(reports)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis' Random
    assert without_repeats(merge(plans, shuffled)) == without_repeats(merge(plans, reports))


@given(runs())
def test_merging_twice_changes_nothing(run: tuple[list[Plan], list[ShardReport]]) -> None:
    """All inputs given twice, and a merged report merged again, give the same report."""
    plans, reports = run
    once = merge(plans, reports)
    assert without_repeats(merge(plans, [*reports, *reports])) == without_repeats(once)
    assert without_repeats(merge(plans, split(once))) == without_repeats(once)


@given(runs(), st.integers(0, 6))
def test_grouping_changes_nothing(run: tuple[list[Plan], list[ShardReport]], at: int) -> None:
    """Merging a part first and the rest afterwards gives the same report, unless two reports of one shard contradict."""
    plans, reports = run
    whole = merge(plans, reports)
    # Of a contradiction the first merge keeps the worst results only: what it proves (never green) stays the same.
    assume(not whole.corrupt)
    part = split(merge(plans, reports[:at]))
    assert without_repeats(merge(plans, [*part, *reports[at:]])) == without_repeats(whole)


@given(runs())
def test_every_expected_test_is_there_once(run: tuple[list[Plan], list[ShardReport]]) -> None:
    """Cases are expected plus unexpected, each identity once, and all outcomes add up."""
    plans, reports = run
    merged = merge(plans, reports)
    identities = [(item.configuration, item.test_id) for item in merged.cases]
    assert len(identities) == len(set(identities)) == sum(merged.counts.values()) == merged.expected + len(merged.unexpected)


@given(runs(), st.integers(0, 9))
def test_taking_a_shard_away_never_makes_a_test_pass(run: tuple[list[Plan], list[ShardReport]], index: int) -> None:
    """Without all reports of one shard there are no new passes, flaky ones included."""
    plans, reports = run
    ours = [report for report in reports if not report.shard.startswith("file:")]
    assume(ours)
    gone = ours[index % len(ours)].shard
    # Foreign files beside a plan have no home: of two that report one test the worst counts.
    kept = [report for report in ours if report.shard != gone]

    def passes(merged: RunReport) -> set[str]:
        return {item.test_id for item in merged.cases if item.outcome is Outcome.PASSED}

    assert passes(merge(plans, kept)) <= passes(merge(plans, ours))


@pytest.mark.parametrize("count", [1, 3])
def test_split_gives_the_reports_back(count: int) -> None:
    """Splitting a run gives the reports that it was merged from."""
    ids = [f"tests/test_a.py::test_{number}" for number in range(count)]
    reports = [
        shard_report(f"{index}/{count}", case(test_id, shard=f"{index}/{count}")) for index, test_id in enumerate(ids, start=1)
    ]
    assert list(split(merge([plan_of(*([test_id] for test_id in ids))], reports))) == reports


def test_two_plans_for_one_configuration_contradict() -> None:
    """Nobody can say which of two plans is right."""
    run = merge([plan_of([A]), plan_of([B])], [shard_report("1/1", case(A))])
    assert "two different plans were given for one configuration" in run.problems


def test_reports_that_disagree_on_the_number_of_shards_contradict() -> None:
    """1/2 and 2/3 cannot both be true."""
    run = merge([], [shard_report("1/2", case(A, shard="1/2")), shard_report("2/3", case(B, shard="2/3"))])
    assert (len(run.problems), run.missing_shards) == (1, ("3/3",))


def test_a_foreign_name_that_fits_two_planned_tests_fits_none() -> None:
    """An address that two node IDs share proves neither of them."""
    plan = plan_of(["tests/a.py::test_x", "tests/a/test_x.py::test_x"], ["tests.a::test_x"])
    run = merge([plan], [foreign("j.xml", case("tests.a.py::test_x"))])
    assert run.unexpected == ("tests.a.py::test_x",)


def test_the_newest_of_three_attempts_decides_in_any_order() -> None:
    """Three run attempts given in another order are the same three attempts."""
    reports = [shard_report("1/1", case(A, run_attempt=number), run_attempt=number) for number in (2, 3, 1)]
    (only,) = merge([plan_of([A])], reports).cases
    assert [attempt.run_attempt for attempt in only.attempts] == [1, 2, 3]


def test_a_plan_narrowed_to_an_empty_shard_says_so() -> None:
    """A plan whose digest speaks of tests that its shards here do not have is empty by plan; one without tests is not."""
    whole = plan_of([A], [])
    narrowed = replace(whole, shards=tuple(replace(shard, units=()) for shard in whole.shards))
    assert [merge([plan], []).is_planned_empty for plan in (narrowed, whole, plan_of([], []))] == [True, False, False]


def test_a_plan_that_was_cut_is_a_problem() -> None:
    """A plan whose tests do not give its digest was changed after it was made."""
    cut = replace(plan_of([A]), expected_digest=plan_of([A, B]).expected_digest)
    assert len(merge([cut], [shard_report("1/1", case(A))]).problems) == 1


def test_a_shard_with_other_settings_is_a_problem() -> None:
    """The shard that ran otherwise than the others is named, of the newest attempts; one that says no settings is, too."""
    plan = plan_of([A], [B], [C])
    usual, odd = ({"tool": "1", "settings": f"arguments=a pytest={name}"} for name in "xy")
    one, two, three = (
        shard_report(f"{n}/3", case(name, shard=f"{n}/3"), facts=usual) for n, name in enumerate((A, B, C), start=1)
    )
    other, bare, again = replace(two, facts=odd), replace(two, facts={"tool": "1"}), replace(two, run_attempt=2)
    asked = "shard 2/3 ran by other settings than the other shards ({}): expected the same arguments, pytest configuration"
    assert merge([plan], [one, two, three]).problems == ()
    assert merge([plan], [one, other, again, three]).problems == ()
    assert [text[: len(asked) + 4] for text in merge([plan], [one, other, three]).problems] == [asked.format("pytest")]
    assert [text.startswith(asked.format("arguments, pytest")) for text in merge([plan], [one, bare, three]).problems] == [True]
