"""Files of ours held against a plan: only all shards of this run, this commit and this plan pass."""

from pathlib import Path

from ci_tools.model.case import Attempt, Case, Outcome
from ci_tools.model.policy import PROFILES
from ci_tools.model.report import ShardReport
from ci_tools.model.shard import Plan, Shard, ShardRef, Unit, digest_of
from ci_tools.model.verdict import Decision, Verdict
from ci_tools.policy.judge import judge
from ci_tools.reports.causes import find_causes
from ci_tools.reports.foreign import read_junit
from ci_tools.reports.junit import write_junit
from ci_tools.reports.merge import merge


def plan(*shards: tuple[str, ...], commit: str = "c0ffee") -> Plan:
    """A plan of these shards."""
    made = tuple(
        Shard(ref=ShardRef(index=index, count=len(shards)), units=(Unit(path="tests/test_a.py", test_ids=ids),))
        for index, ids in enumerate(shards, start=1)
    )
    return Plan(commit=commit, shards=made, expected_digest=digest_of(test_id for ids in shards for test_id in ids))


ONE, TWO = "tests/test_a.py::test_one", "tests/test_a.py::test_two"
NOW = 1_795_000_000.0


def verdict_of(*paths: Path, plans: tuple[Plan, ...], profile: str = "default", run_id: str = "") -> Verdict:
    """The verdict on these files of this plan."""
    report = merge(plans, [read_junit(path) for path in paths], run_id=run_id)
    return judge(report, PROFILES[profile], now=NOW, profile=profile, causes=find_causes(report))


def shard_file(
    tmp_path: Path, label: str, *test_ids: str, the_plan: Plan, run_id: str = "run-1", outcome: Outcome = Outcome.PASSED
) -> Path:
    """The JUnit file of one shard that ran these tests."""
    cases = tuple(Case(test_id=test_id, attempts=(Attempt(outcome=outcome, shard=label),)) for test_id in test_ids)
    report = ShardReport(
        run_id=run_id,
        shard=label,
        cases=cases,
        commit=the_plan.commit,
        plan_digest=the_plan.expected_digest,
        expected_digest=digest_of(test_ids),
    )
    path = tmp_path / f"junit-{run_id}-{label.replace('/', '-')}.xml"
    write_junit(report, path)
    return path


def test_all_shards_of_this_run_pass(tmp_path: Path) -> None:
    """Both shards' files and the plan: proven complete, also for a release."""
    both = plan((ONE,), (TWO,))
    files = [shard_file(tmp_path, "1/2", ONE, the_plan=both), shard_file(tmp_path, "2/2", TWO, the_plan=both)]
    verdict = verdict_of(*files, plans=(both,), run_id="run-1", profile="release")
    assert (verdict.decision, verdict.headline) == (Decision.PASSED, "PASS 2/2 passed")


def test_a_missing_shard_is_incomplete(tmp_path: Path) -> None:
    """One of two files: exit 11, the lost test is named."""
    both = plan((ONE,), (TWO,))
    verdict = verdict_of(shard_file(tmp_path, "1/2", ONE, the_plan=both), plans=(both,), run_id="run-1")
    lost = next(rule for rule in verdict.rules if rule.rule == "tests-accounted-for")
    assert (verdict.exit_code, lost.details) == (11, (TWO,))


def test_the_wrong_shard_does_not_pass(tmp_path: Path) -> None:
    """Shard 1's file twice under both names is not two shards."""
    both = plan((ONE,), (TWO,))
    files = [shard_file(tmp_path, "1/2", ONE, the_plan=both), shard_file(tmp_path, "2/2", ONE, the_plan=both)]
    assert verdict_of(*files, plans=(both,), run_id="run-1").decision is Decision.INCOMPLETE


def test_an_old_file_of_another_run_does_not_pass(tmp_path: Path) -> None:
    """A file that a cache brought back is of another run, and that is enough."""
    both = plan((ONE,), (TWO,))
    files = [shard_file(tmp_path, "1/2", ONE, the_plan=both), shard_file(tmp_path, "2/2", TWO, the_plan=both, run_id="run-0")]
    verdict = verdict_of(*files, plans=(both,), run_id="run-1")
    broken = [rule.rule for rule in verdict.rules if not rule.holds]
    assert (verdict.decision, broken) == (Decision.INCOMPLETE, ["one-run"])
    assert verdict_of(*files, plans=(both,)).decision is Decision.INCOMPLETE


def test_a_file_of_another_commit_does_not_pass(tmp_path: Path) -> None:
    """A report of another commit than the plan's is no evidence."""
    planned, old = plan((ONE,)), plan((ONE,), commit="0ld")
    assert verdict_of(shard_file(tmp_path, "1/1", ONE, the_plan=old), plans=(planned,)).decision is Decision.INCOMPLETE


def test_one_shard_given_twice_is_counted_once(tmp_path: Path) -> None:
    """The same file again changes nothing and is said."""
    both = plan((ONE,), (TWO,))
    files = [shard_file(tmp_path, "1/2", ONE, the_plan=both), shard_file(tmp_path, "2/2", TWO, the_plan=both)]
    copy = tmp_path / "copy.xml"
    copy.write_bytes(files[0].read_bytes())
    verdict = verdict_of(*files, copy, plans=(both,), run_id="run-1")
    assert verdict.decision is Decision.PASSED
    assert "shard 1/2 was given more than once and counted once" in verdict.notes
