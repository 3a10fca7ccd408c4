"""Every pure room on values that are like those of a run; test_purity.py runs it where the world outside raises."""

import report_sample
import summary_sample

from ci_tools.model.case import Outcome
from ci_tools.model.codec import dumps, loads
from ci_tools.model.journal import parse_journal, render_event
from ci_tools.model.plan import parse_plan, render_plan
from ci_tools.model.policy import PROFILES
from ci_tools.model.report import RunReport
from ci_tools.model.shard import Plan, ShardRef
from ci_tools.model.worker import Collected, WorkerOrder
from ci_tools.policy.baseline import compare, make_baseline
from ci_tools.policy.catalogue import explain, render_rules
from ci_tools.policy.judge import judge
from ci_tools.reports.causes import find_causes
from ci_tools.reports.merge import merge, split
from ci_tools.sharding import timings as kept
from ci_tools.sharding.bisection import find_culprits
from ci_tools.sharding.durations import parse_durations
from ci_tools.sharding.environment import shard_from_environment
from ci_tools.sharding.explanation import render_explanation
from ci_tools.sharding.sizing import size_for
from ci_tools.sharding.static import orders_for, partition
from ci_tools.summary.annotations import render_annotations
from ci_tools.summary.comment import render_comment
from ci_tools.summary.ctrf import render_ctrf
from ci_tools.summary.html import render_html
from ci_tools.summary.markdown import render_summary
from ci_tools.summary.masking import Mask
from ci_tools.summary.terminal import render_verdict
from ci_tools.workers.command import command, order_name, paths_of


def flow() -> list[str]:
    """Plan, command, merge, causes, verdict and pages; what came of it."""
    ids = tuple(f"tests/test_{letter}.py::test_{number}" for letter in "abcd" for number in range(5))
    files = {f"tests/test_{letter}.py": tuple(name for name in ids if f"test_{letter}." in name) for letter in "abcd"}
    collected = Collected(test_ids=ids, paths=files)
    timings = kept.from_pairs(parse_durations('{"tests/test_a.py::test_0": 3.5, "tests/test_b.py::test_1": 0.5}'), at=1.0)
    plan = partition(collected, timings, 3, commit="c0ffee")
    size_for(collected, timings, target_s=60.0)
    orders = orders_for(plan, ShardRef(index=1, count=3))
    order = WorkerOrder(run_id="run-1", journal_dir="journals", shard="1/3", files=orders)
    command("order.json", python="python", paths=paths_of(order) or (), processes=2, tests=7, environ={"PATH": "/bin"})
    shards = [
        report_sample.shard_report(
            str(shard.ref),
            *(
                report_sample.case(test_id, Outcome.FAILED if test_id.endswith("0") else Outcome.PASSED, shard=str(shard.ref))
                for test_id in shard.test_ids
            ),
            exits=(report_sample.exit_of(),),
            started_at=1000.0,
        )
        for shard in plan.shards
    ]
    report = merge([parse_plan(render_plan(plan))], shards[:2], run_id="run-1")
    causes = find_causes(report)
    verdicts = [judge(report, policy, now=1_790_000_000.0, profile=name, causes=causes) for name, policy in PROFILES.items()]
    green = report_sample.green_run()
    passed = judge(green, PROFILES["default"], now=1_790_000_000.0)
    compare(report, make_baseline(green, passed, (), now=1_790_000_000.0))
    whole = loads(RunReport, dumps(report))
    for verdict, shown in ((verdicts[0], whole), (summary_sample.VERDICT, summary_sample.REPORT)):
        mask = Mask(("a-secret-of-twelve",))
        pages = [render_summary(verdict, shown), *render_html(verdict, shown), *render_ctrf(verdict, shown)]
        pages += [render_verdict(verdict, shown), render_comment(verdict, shown, key="k"), *render_annotations(verdict, shown)]
        mask.value(tuple(pages))
    _rest(ids, plan, timings, report)
    explain(verdicts[0].rules[0].rule)
    return [order_name(order), str(verdicts[0].decision), f"{len(report.cases)} cases", f"{len(causes)} causes"]


def _rest(ids: tuple[str, ...], plan: Plan, timings: kept.Timings, report: RunReport) -> None:
    text = "".join(render_event(event) + "\n" for event in (report_sample.start(), report_sample.end()))
    list(parse_journal(text))
    kept.render_timings(kept.learn(timings, split(report), at=2.0))
    render_explanation(plan)
    render_rules()
    find_culprits(ids, lambda chosen: ids[3] in chosen)
    shard_from_environment({"CIRCLE_NODE_INDEX": "0", "CIRCLE_NODE_TOTAL": "2"})
