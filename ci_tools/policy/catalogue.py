"""The rules for people: one explained, and the reference page of all of them, made from the rules' docstrings."""

import difflib
import inspect

from ci_tools.errors import UsageError
from ci_tools.model.verdict import Decision
from ci_tools.policy.question import Rule
from ci_tools.policy.rules import RULES

_HEAD = """# Rules of the gate

Made by machine from the docstrings in `ci_tools/policy/`; a test keeps it from going stale. Every rule is asked and printed
with what it expected and what is, also when it holds. The verdict is the worst breach: error before incomplete before failed.

| rule | a breach makes the verdict | exit code |
| --- | --- | ---: |
"""


def explain(rule_id: str) -> str:
    """What the rule asks, why, and what to do about a breach. UsageError for an unknown rule, with the nearest one."""
    for rule in RULES:
        if rule.id == rule_id:
            return f"{rule.id}: {_text(rule)}\n\n{_consequence(rule)}\n"
    names = [rule.id for rule in RULES]
    near = difflib.get_close_matches(rule_id, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise UsageError(f"there is no rule {rule_id!r}", hint=hint)


def render_rules() -> str:
    """docs/reference/rules.md."""
    rows = "".join(f"| [{rule.id}](#{rule.id}) | {rule.breach.value} | {int(rule.exit_code)} |\n" for rule in RULES)
    parts = [f"\n## {rule.id}\n\n{_text(rule)}\n" for rule in RULES]
    return _HEAD + rows + "".join(parts)


def _text(rule: Rule) -> str:
    return inspect.cleandoc(rule.doc)


def _consequence(rule: Rule) -> str:
    word = {Decision.FAILED: "failed", Decision.INCOMPLETE: "incomplete", Decision.ERROR: "error"}[rule.breach]
    return f"A breach makes the verdict {word} (exit code {int(rule.exit_code)})."
