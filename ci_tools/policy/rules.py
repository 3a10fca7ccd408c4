"""The gate's rules in the order in which they are asked and printed: evidence first, then results, then history.

One function a rule. Its name with hyphens is the rule's ID and its anchor in docs/reference/rules.md, which is made from
the docstrings. Each says what it expected and what is, also when it holds; a rule that cannot tell does not hold.
"""

from ci_tools.policy import evidence_rules, history_rules, result_rules
from ci_tools.policy.question import Rule

RULES: list[Rule] = [
    evidence_rules.house_in_order,
    evidence_rules.not_interrupted,
    evidence_rules.plan_present,
    evidence_rules.shards_present,
    evidence_rules.tests_accounted_for,
    evidence_rules.nothing_unplanned,
    evidence_rules.nothing_duplicated,
    evidence_rules.one_run,
    evidence_rules.reports_whole,
    evidence_rules.reports_fresh,
    evidence_rules.workers_finished,
    evidence_rules.exits_consistent,
    evidence_rules.files_collected,
    evidence_rules.counts_add_up,
    evidence_rules.declared_tests,
    result_rules.tests_executed,
    history_rules.executed_as_before,
    result_rules.failures_within_limit,
    result_rules.errors_within_limit,
    result_rules.pass_rate,
    result_rules.skips_within_limit,
    result_rules.skip_reasons_known,
    result_rules.no_unexpected_passes,
    result_rules.required_tests_passed,
    result_rules.required_markers_passed,
    result_rules.required_configurations_ran,
    result_rules.no_hollow_passes,
    result_rules.flaky_within_limit,
    result_rules.no_new_flaky,
    history_rules.baseline_present,
    history_rules.no_new_failures,
    history_rules.no_new_causes,
    history_rules.no_regression,
    history_rules.no_removed_tests,
    history_rules.nothing_newly_skipped,
    history_rules.duration_within_limit,
    history_rules.quarantine_valid,
    history_rules.quarantine_within_cap,
    history_rules.quarantine_needed,
]
