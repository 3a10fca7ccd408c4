"""The rules' reference page and `--explain`."""

from pathlib import Path

import pytest

from ci_tools.errors import UsageError
from ci_tools.policy.catalogue import explain, render_rules
from ci_tools.policy.rules import RULES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "rules.md"


def test_the_page_is_not_stale() -> None:
    """docs/reference/rules.md is what the rules say now."""
    assert PAGE.read_text(encoding="utf-8") == render_rules()


@pytest.mark.parametrize("name", [rule.id for rule in RULES])
def test_every_rule_can_be_explained(name: str) -> None:
    """Each rule has a question in its first line, a consequence, and an anchor of its own name on the page."""
    text = explain(name)
    assert text.startswith(f"{name}: ")
    assert f"\n## {name}\n" in render_rules()


def test_an_unknown_rule_is_answered_with_the_nearest() -> None:
    """A typing mistake is a usage error that names what was meant."""
    with pytest.raises(UsageError, match="there is no rule 'test-executed'") as caught:
        explain("test-executed")
    assert caught.value.hint == "did you mean 'tests-executed'?"
