"""The release decision: each reason against it by itself, and none when there is none."""

from dataclasses import replace

import pytest
from policy_sample import NOW, entry

from ci_tools.model.policy import RELEASE, Policy
from ci_tools.model.report import ShardReport
from ci_tools.model.verdict import Decision, Verdict
from ci_tools.policy.release import CLOCK_SKEW_S, TESTED, Demands, Examined, refuse, system_of

COMMIT = "c0ffee" * 6 + "c0ff"
WHEEL = "tiny-1.0-py3-none-any.whl"
SHA256 = "ab" * 32


def shard(**fields: object) -> ShardReport:
    """What a shard on Linux says that tested the wheel a minute ago."""
    facts = {"platform": "linux", "python": "3.11.9", f"{TESTED}{WHEEL}": SHA256}
    values = {"started_at": NOW - 60, "facts": facts, **fields}
    return ShardReport(run_id="run-1", shard="1/1", cases=(), **values)  # type: ignore[arg-type] # the caller's fields


def verdict(**fields: object) -> Verdict:
    """A verdict that lets a release through."""
    values: dict[str, object] = {
        "decision": Decision.PASSED,
        "exit_code": 0,
        "headline": "PASS 2/2 passed",
        "commit": COMMIT,
        "profile": "release",
        "policy": RELEASE,
        "is_complete_proven": True,
        "created_at": NOW - 30,
        **fields,
    }
    return Verdict(rules=(), **values)  # type: ignore[arg-type] # as above


def examined(*shards: ShardReport, problems: tuple[str, ...] = (), **fields: object) -> Examined:
    """A verdict with these shards; one good one when none are given."""
    return Examined(path="v/verdict.json", verdict=verdict(**fields), problems=problems, shards=shards or (shard(),))


def demands(**fields: object) -> Demands:
    """What a release on Linux with Python 3.11 asks."""
    values: dict[str, object] = {
        "commit": COMMIT,
        "wheels": {WHEEL: SHA256},
        "policy": RELEASE,
        "now": NOW,
        "max_age_s": 3600.0,
        "systems": ("linux",),
        "pythons": ("3.11",),
        **fields,
    }
    return Demands(**values)  # type: ignore[arg-type] # as above


def checks(*items: Examined, **fields: object) -> list[str]:
    """The checks that refuse."""
    return [refusal.check for refusal in refuse(items or (examined(),), demands(**fields))]


def test_a_tested_wheel_may_be_released() -> None:
    """Nothing speaks against a passed, sound, whole, fresh release verdict on the same bytes and commit."""
    assert refuse((examined(),), demands()) == ()


@pytest.mark.parametrize("decision", [Decision.FAILED, Decision.INCOMPLETE, Decision.ERROR])
def test_only_passed_lets_through(decision: Decision) -> None:
    """Any other verdict is refused."""
    assert checks(examined(decision=decision)) == ["verdict"]


def test_an_unsound_verdict_is_refused_with_its_problems() -> None:
    """What verifying found stands in the reason."""
    (refusal,) = refuse((examined(problems=("shard-1-of-1.json was changed",)),), demands())
    assert refusal.check == "sound"
    assert "shard-1-of-1.json was changed" in refusal.actual


def test_another_profile_is_refused() -> None:
    """A default verdict forgives what a release does not."""
    assert checks(examined(profile="default", policy=Policy())) == ["profile"]


def test_other_limits_under_the_same_name_are_refused() -> None:
    """The profile's name alone proves nothing: its limits must be this project's."""
    assert checks(examined(policy=replace(RELEASE, max_failures=9))) == ["profile"]
    assert checks(examined(policy=None)) == ["profile"]


def test_quarantine_in_use_is_refused() -> None:
    """Also where the project's own release profile allows it; entries that a cap of 0 switches off are none."""
    allowed = replace(RELEASE, quarantine=(entry(),), quarantine_cap=1)
    assert checks(examined(policy=allowed), policy=allowed) == ["quarantine"]
    off = replace(allowed, quarantine_cap=0)
    assert checks(examined(policy=off), policy=off) == []


@pytest.mark.parametrize("commit", ["", "beef" * 10, COMMIT[:12]])
def test_another_commit_is_refused(commit: str) -> None:
    """A verdict for another commit, for none, or for one that only begins alike is refused."""
    assert checks(examined(commit=commit)) == ["commit"]


@pytest.mark.parametrize(
    ("created_at", "started_at", "expected"),
    [
        (NOW - 3600, NOW - 3600, []),
        (NOW - 3601, NOW - 60, ["age"]),
        (NOW - 60, NOW - 3601, ["age"]),
        (NOW - 60, 0.0, []),
        (NOW + CLOCK_SKEW_S, NOW, []),
        (NOW + CLOCK_SKEW_S + 1, NOW, ["age"]),
        (1e300, NOW, ["age"]),
    ],
)
def test_the_oldest_shard_counts(created_at: float, started_at: float, expected: list[str]) -> None:
    """Neither an old verdict, nor a new one on old shards, nor one from the future lets a release through."""
    assert checks(examined(shard(started_at=started_at), created_at=created_at)) == expected


def test_other_bytes_are_refused() -> None:
    """A wheel of the same name with other bytes is not the tested one."""
    assert checks(wheels={WHEEL: "cd" * 32}) == ["wheel"]


def test_a_wheel_that_one_shard_did_not_test_is_refused() -> None:
    """Every shard must have tested it; the reason names the one that did not."""
    silent = shard(facts={"platform": "linux", "python": "3.11.9"})
    (refusal,) = refuse((examined(shard(), silent),), demands())
    assert refusal.actual == f"{WHEEL} was not tested in shard 1/1 (default) of v/verdict.json"


def test_nothing_to_publish_is_refused() -> None:
    """No wheel at all is no release."""
    assert checks(wheels={}) == ["wheel"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"systems": ("linux", "macos")}, ["system"]),
        ({"pythons": ("3.11", "3.14")}, ["python"]),
        ({"pythons": ("3.1",)}, ["python"]),
        ({"pythons": ("3.11.9",)}, []),
    ],
)
def test_a_required_system_or_python_must_have_run(asked: dict[str, object], expected: list[str]) -> None:
    """What is required and in no shard's facts is refused; 3.1 is not 3.11."""
    assert checks(**asked) == expected


def test_several_verdicts_cover_a_matrix_together() -> None:
    """Systems and Pythons may come from different verdicts."""
    windows = shard(facts={**shard().facts, "platform": "win32", "python": "3.14.0"})
    found = checks(examined(), examined(windows), systems=("linux", "windows"), pythons=("3.11", "3.14"))
    assert found == []


def test_a_system_without_a_name_of_ours_is_itself() -> None:
    """A platform that is no required system keeps its own name, and a silent shard has none."""
    assert [system_of(shard(facts=facts)) for facts in ({"platform": "freebsd14"}, {})] == ["freebsd14", ""]


def test_an_unproven_whole_is_refused() -> None:
    """Without a plan nobody knows what did not run."""
    assert checks(examined(is_complete_proven=False)) == ["completeness"]


def test_a_verdict_on_one_shard_is_refused() -> None:
    """One shard of four is proven whole by itself, and is a quarter of the suite."""
    assert checks(examined(shard="1/4")) == ["completeness"]


def test_a_verdict_without_shards_covers_nothing() -> None:
    """No shard report: no wheel was tested, no system and no Python ran."""
    bare = Examined(path="verdict.json", verdict=verdict())
    assert checks(bare) == ["wheel", "system", "python"]


def test_every_reason_is_given_at_once() -> None:
    """A verdict with every fault is refused for each of them."""
    bad = examined(
        shard(facts={}),
        problems=("changed",),
        decision=Decision.FAILED,
        profile="default",
        policy=Policy(quarantine=(entry(),)),
        commit="",
        created_at=0.0,
        is_complete_proven=False,
    )
    expected = ["verdict", "sound", "profile", "quarantine", "commit", "age", "completeness", "wheel", "system", "python"]
    assert checks(bad) == expected


def test_a_reason_is_one_line() -> None:
    """Text of a verdict cannot start a line that CI would take for a command."""
    (refusal,) = refuse((examined(decision=Decision.FAILED, headline="x\n::error::y"),), demands())
    assert "\n" not in str(refusal)
    assert str(refusal).startswith("verdict: v/verdict.json is failed (x ::error::y) · expected passed · mend")
