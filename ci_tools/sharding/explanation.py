"""The explanation of a plan: predicted spread, the bound and what sets it, what is unknown. Pure."""

from ci_tools.model.shard import Plan, Shard

_HEAVIEST = 3
_SLOWEST = 5


def render_explanation(plan: Plan) -> str:
    """What a person wants to know of a plan, as plain text without a final newline."""
    facts = {"tests": "0", "files": "0", "file_parts": "0", "without_timings": "0", **plan.facts}
    total, imports, heaviest, lightest, bound = (
        f"{float(facts.get(name, '0')):.1f} s" for name in ("total_s", "import_s", "heaviest_s", "lightest_s", "bound_s")
    )
    filled = f"{len(plan.filled)} of {len(plan.shards)} shard(s) filled"
    lines = [
        f"{facts['tests']} test(s) in {facts['files']} file(s), {filled}, configuration {plan.configuration}",
        f"predicted: {total} of tests and {imports} of imports; heaviest shard {heaviest}, lightest {lightest}, {_spread(plan)}",
        f"bound:     {bound}, {_bound_reason(plan)}",
        f"imports:   {facts['file_parts']} for {facts['files']} file(s): every shard that runs a part of a file imports it",
        f"fixtures:  {_copies(plan)}",
        *_session(plan),
        f"unknown:   {facts['without_timings']} test(s) without timings, their durations are guessed",
    ]
    lines += [_describe(shard) for shard in plan.shards]
    lines += [f"broken:    {path} could not be collected; its shard reports the error" for path in plan.broken_files]
    lines += [f"note:      {note}" for note in plan.notes]
    return "\n".join(lines)


def _spread(plan: Plan) -> str:
    bound, heaviest = float(plan.facts.get("bound_s", "0")), float(plan.facts.get("heaviest_s", "0"))
    return f"{heaviest / bound:.2f} times the bound" if bound > 0 else "nothing to spread"


def _bound_reason(plan: Plan) -> str:
    facts = plan.facts
    longest_s = float(facts.get("longest_test_s", "0"))
    if longest_s > 0 and longest_s >= float(facts.get("bound_s", "0")):
        return f"set by the longest test: {facts['longest_test']}"
    return f"a fair part of the tests; the longest one takes {longest_s:.1f} s: {facts.get('longest_test', '')}"


def _copies(plan: Plan) -> str:
    copies, seconds = plan.facts.get("fixture_copies", "0"), float(plan.facts.get("fixture_copies_s", "0"))
    if copies == "0":
        return "none is set up more than once for a file that was cut"
    return f"set up {copies} more time(s) for files that were cut, {seconds:.1f} s"


def _session(plan: Plan) -> list[str]:
    """One line for each of the slowest fixtures of the session or a package: who sets it up."""
    seconds = {name: taken for shard in plan.shards for name, taken in shard.fixtures.items()}
    slowest = sorted(seconds, key=lambda name: (-seconds[name], name))
    lines = [
        f"session:   {name} takes {seconds[name]:.1f} s in each shard that needs it,"
        f" {sum(name in shard.fixtures for shard in plan.shards)} of {len(plan.filled)}"
        for name in slowest[:_SLOWEST]
    ]
    rest = sum(seconds[name] for name in slowest[_SLOWEST:])
    return [*lines, f"session:   and {len(slowest) - _SLOWEST} more, {rest:.1f} s"] if slowest[_SLOWEST:] else lines


def _describe(shard: Shard) -> str:
    if shard.is_empty:
        return f"shard {shard.ref}: nothing planned"
    known = sum(unit.samples for unit in shard.units)
    tests = len(shard.test_ids)
    services = f", needs {', '.join(shard.services)}" if shard.services else ""
    if shard.fixtures:
        services += f", {sum(shard.fixtures.values()):.1f} s of fixtures of the session"
    heaviest = ", ".join(f"{unit.path} {unit.estimate_s:.1f} s" for unit in shard.units[:_HEAVIEST])
    timed = f"{tests} test(s) ({known} timed) in {len(shard.units)} file(s)"
    return f"shard {shard.ref}: {shard.predicted_s:.1f} s, {timed}{services}: {heaviest}"
