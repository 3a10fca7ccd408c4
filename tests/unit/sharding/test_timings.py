import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_tools.errors import DecodeError
from ci_tools.model.case import Attempt, Case, Outcome
from ci_tools.model.report import Costs, RunReport, ShardReport
from ci_tools.sharding.timings import (
    MAX_AGE_S,
    Sample,
    TestTiming,
    Timings,
    digest,
    from_pairs,
    learn,
    merge,
    parse_timings,
    render_timings,
)

DAY = 86_400
NOW = 1_790_000_000


def case(test_id: str, seconds: float, outcome: Outcome = Outcome.PASSED, *, shard: str = "1/1") -> Case:
    """A test case with one attempt that took ``seconds`` in its call."""
    return Case(test_id=test_id, attempts=(Attempt(outcome=outcome, duration_s=seconds, call_s=seconds, shard=shard),))


def report(*cases: Case, at: float = NOW) -> RunReport:
    """A run with these cases."""
    return RunReport(run_id="r", cases=cases, started_at=at)


def seconds(timings: Timings) -> dict[str, float]:
    """Duration by test ID of the default configuration."""
    return {test_id: timing.duration_s for test_id, timing in timings.of().items()}


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.XFAILED, Outcome.SKIPPED])
def test_learned_outcomes(outcome: Outcome) -> None:
    """A first execution that passed, xfailed or was skipped tells how long the test takes."""
    assert seconds(learn(Timings.empty(), report(case("a", 2.0, outcome)))) == {"a": 2.0}


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.PASSED, Outcome.XFAILED, Outcome.SKIPPED}))
def test_outcomes_not_learned(outcome: Outcome) -> None:
    """A red run teaches what passed in it and nothing of what did not."""
    assert seconds(learn(Timings.empty(), report(case("a", 2.0, outcome), case("b", 3.0)))) == {"b": 3.0}


def test_reruns_are_not_learned() -> None:
    """A test that passed after a failure teaches nothing: the second execution runs warm."""
    flaky = Case(
        test_id="a",
        attempts=(
            Attempt(outcome=Outcome.FAILED, duration_s=9.0, call_s=9.0),
            Attempt(outcome=Outcome.PASSED, number=2, duration_s=1.0, call_s=1.0),
        ),
    )
    assert seconds(learn(Timings.empty(), report(flaky))) == {}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0])
def test_impossible_durations_are_not_learned(bad: float) -> None:
    """NaN, infinity and negative seconds leave no trace."""
    assert seconds(learn(Timings.empty(), report(case("a", bad)))) == {}
    assert seconds(from_pairs([("a", bad)])) == {}


def test_one_slow_run_moves_nothing() -> None:
    """The median of the latest samples shrugs one bad run off, and follows a real change after three."""
    timings = Timings.empty()
    for day, duration in enumerate([1.0, 1.0, 1.0, 30.0]):
        timings = learn(timings, report(case("a", duration), at=NOW + day * DAY))
    assert seconds(timings) == {"a": 1.0}
    for day, duration in enumerate([5.0, 5.0, 5.0], start=4):
        timings = learn(timings, report(case("a", duration), at=NOW + day * DAY))
    assert seconds(timings) == {"a": 5.0}


def test_a_case_that_never_ran_teaches_nothing() -> None:
    """A case without attempts leaves no trace."""
    assert seconds(learn(Timings.empty(), report(Case(test_id="a", attempts=())))) == {}


def test_a_duration_without_phases_counts() -> None:
    """A report of elsewhere that knows no phases teaches the whole duration."""
    whole = Case(test_id="a", attempts=(Attempt(outcome=Outcome.PASSED, duration_s=2.5),))
    assert seconds(learn(Timings.empty(), report(whole))) == {"a": 2.5}


def test_phases_are_kept_apart() -> None:
    """Set-up, call and tear-down are kept and add up to the duration."""
    attempt = Attempt(outcome=Outcome.PASSED, duration_s=6.0, setup_s=1.0, call_s=2.0, teardown_s=3.0)
    timing = learn(Timings.empty(), report(Case(test_id="a", attempts=(attempt,)))).of()["a"]
    assert (timing.setup_s, timing.call_s, timing.teardown_s, timing.duration_s) == (1.0, 2.0, 3.0, 6.0)


def test_a_slow_shard_is_corrected() -> None:
    """Where one of two shards ran three times slower, its tests are learned at the other's speed."""
    ids = [f"t{n}" for n in range(20)]
    usual = learn(Timings.empty(), report(*(case(test_id, 1.0) for test_id in ids), at=NOW - DAY))
    run = report(
        *(case(test_id, 1.0, shard="1/2") for test_id in ids[:12]),
        *(case(test_id, 3.0, shard="2/2") for test_id in ids[12:]),
        case("new", 6.0, shard="2/2"),
    )
    learned = learn(usual, run)
    assert {1.0} == {learned.of()[test_id].samples[-1].duration_s for test_id in ids}
    assert learned.of()["new"].duration_s == 2.0


def test_a_partial_run_on_a_slow_machine_is_corrected() -> None:
    """A tenth of the suite, run twice as slowly, keeps its weight among the rest."""
    ids = [f"t{n}" for n in range(100)]
    usual = learn(Timings.empty(), report(*(case(test_id, 1.0) for test_id in ids), at=NOW - DAY))
    learned = learn(usual, report(*(case(test_id, 2.0) for test_id in ids[:10])))
    assert {1.0} == set(seconds(learned).values())


def test_a_whole_run_may_change_the_usual_speed() -> None:
    """When everything got twice as fast everywhere, that is the new truth."""
    ids = [f"t{n}" for n in range(20)]
    usual = learn(Timings.empty(), report(*(case(test_id, 1.0) for test_id in ids), at=NOW - DAY))
    learned = learn(usual, report(*(case(test_id, 0.5) for test_id in ids)))
    assert {0.5} == {timing.samples[-1].duration_s for timing in learned.of().values()}


def test_what_is_gone_ages_out() -> None:
    """A test not seen for a quarter before the latest run is forgotten."""
    timings = learn(Timings.empty(), report(case("gone", 1.0), at=NOW))
    assert {"gone", "a"} == seconds(learn(timings, report(case("a", 1.0), at=NOW + MAX_AGE_S))).keys()
    assert {"a"} == seconds(learn(timings, report(case("a", 1.0), at=NOW + MAX_AGE_S + 1))).keys()


def test_configurations_are_apart() -> None:
    """The same test ID in two configurations has two timings."""
    one = Case(test_id="a", configuration="sqlite", attempts=case("a", 1.0).attempts)
    other = Case(test_id="a", configuration="postgres", attempts=case("a", 5.0).attempts)
    timings = learn(Timings.empty(), report(one, other))
    assert (timings.of("sqlite")["a"].duration_s, timings.of("postgres")["a"].duration_s) == (1.0, 5.0)


def test_shard_reports_teach_too() -> None:
    """A shard's report, or several, teach like the run's."""
    shards = [
        ShardReport(run_id="r", shard="1/2", cases=(case("a", 1.0, shard="1/2"),), started_at=NOW),
        ShardReport(run_id="r", shard="2/2", cases=(case("b", 2.0, shard="2/2"),), started_at=NOW + 5),
    ]
    assert seconds(learn(Timings.empty(), shards)) == {"a": 1.0, "b": 2.0}
    assert seconds(learn(Timings.empty(), shards[0])) == {"a": 1.0}


def test_imports_are_learned() -> None:
    """What importing a file took is kept by path, from reports of shards and from the merged one that holds them."""
    shard = ShardReport(run_id="r", shard="1/2", cases=(), costs=Costs(imports={"a.py": 1.5, "b.py": math.nan}), started_at=NOW)
    for told in (shard, [shard], replace(report(), shards=(shard,))):
        timings = learn(Timings.empty(), told)
        assert {path: timing.duration_s for path, timing in timings.imports_of().items()} == {"a.py": 1.5}


def test_a_wider_fixture_is_booked_on_itself() -> None:
    """A test's set-up counts without the module fixture that it happened to make; the file has that fixture's seconds."""
    first = Case(test_id="a.py::x", attempts=(Attempt(outcome=Outcome.PASSED, duration_s=5.5, setup_s=4.5, call_s=1.0),))
    costs = Costs(setups={"a.py::x": 4.0}, fixtures={"a.py": 4.0, "::db": 2.0})
    timings = learn(Timings.empty(), ShardReport(run_id="r", shard="1/1", cases=(first,), costs=costs, started_at=NOW))
    assert seconds(timings) == {"a.py::x": 1.5}
    assert {path: timing.duration_s for path, timing in timings.fixtures_of().items()} == {"a.py": 4.0, "::db": 2.0}
    assert timings == parse_timings(render_timings(timings))


SAMPLES = st.builds(Sample, at=st.integers(NOW, NOW + 9), call_s=st.sampled_from([0.0, 0.5, 1.0, 2.0]))
ENTRIES = st.dictionaries(
    st.sampled_from("abc"),
    st.lists(SAMPLES, min_size=1, max_size=5, unique=True).map(lambda samples: TestTiming(samples=tuple(sorted(samples)))),
)
TIMINGS = st.builds(
    lambda tests, imports, fixtures: Timings(
        tests={"default": tests} if tests else {},
        imports={"x": imports} if imports else {},
        fixtures={"x": fixtures} if fixtures else {},
    ),
    ENTRIES,
    ENTRIES,
    ENTRIES,
)


@given(one=TIMINGS, other=TIMINGS, third=TIMINGS)
@settings(max_examples=100, deadline=None)
def test_merge_is_a_union(one: Timings, other: Timings, third: Timings) -> None:
    """Merging in any order, any grouping and any number of times gives the same."""
    merged = merge(one, other, third)
    assert merged == merge(third, other, one) == merge(merge(one, other), third) == merge(one, merge(other, third), merged)
    assert digest(merged) == digest(merge(third, one, other))


@given(timings=TIMINGS)
@settings(max_examples=100, deadline=None)
def test_json(timings: Timings) -> None:
    """Timings survive their file, and equal timings give equal text."""
    assert timings == parse_timings(render_timings(timings))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version":99}',
        '{"tests":{"default":{"a":[1,2,3]}}}',
        '{"tests":{"default":{"a":[]}}}',
        '{"tests":{"default":{"a":[1,NaN,0,0]}}}',
        '{"tests":{"default":{"a":[1,-1,0,0]}}}',
        '{"tests":{"default":{"a":[1,"x",0,0]}}}',
        '{"tests":{"default":{"a":true}}}',
    ],
)
def test_a_bad_file_is_refused(text: str) -> None:
    """A file that is cut, foreign, newer or changed by hand is a DecodeError with a remedy."""
    with pytest.raises(DecodeError) as caught:
        parse_timings(text)
    assert caught.value.hint


def test_from_pairs_takes_the_median() -> None:
    """A test ID that comes several times counts with its median."""
    assert seconds(from_pairs([("a", 1.0), ("a", 2.0), ("a", 40.0)])) == {"a": 2.0}


def test_digest_follows_content() -> None:
    """Another duration gives another digest."""
    assert digest(from_pairs([("a", 1.0)])) == digest(from_pairs([("a", 1.0)])) != digest(from_pairs([("a", 2.0)]))
