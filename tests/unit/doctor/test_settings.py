"""Which of pytest's settings hide that a coroutine was never awaited."""

import pytest

from ci_tools.doctor.facts import Configured
from ci_tools.doctor.findings import Condition
from ci_tools.doctor.settings import examine_pytest

FILTERS = {
    ("error",): Condition.HOLDS,
    ("ignore",): Condition.BROKEN,
    ("ignore::Warning",): Condition.BROKEN,
    ("ignore:coroutine .* was never awaited:RuntimeWarning",): Condition.BROKEN,
    ("ignore::DeprecationWarning",): Condition.HOLDS,
    ("ignore:something else:RuntimeWarning",): Condition.HOLDS,
    ("ignore::RuntimeWarning", "error::RuntimeWarning"): Condition.HOLDS,
    ("error", "ignore::pytest.PytestUnraisableExceptionWarning"): Condition.BROKEN,
}


@pytest.mark.parametrize("filters", FILTERS)
def test_the_last_filter_that_covers_the_warning_decides(filters: tuple[str, ...]) -> None:
    """As in Python the last matching filter wins; only one that ignores the warning breaks the link."""
    configured = Configured(version="9", ini={"filterwarnings": filters}, is_active=True)
    assert FILTERS[filters] == examine_pytest(configured, {}, has_coroutines=True).condition


@pytest.mark.parametrize(
    ("fixture", "test", "expected"),
    [
        (("session",), ("session",), Condition.HOLDS),
        (("function",), ("session",), Condition.BROKEN),
        (("function",), (), Condition.BROKEN),
        ((), (), Condition.BROKEN),
    ],
)
def test_loop_scopes_are_set_and_equal(fixture: tuple[str, ...], test: tuple[str, ...], expected: Condition) -> None:
    """Both keys must name the same scope where coroutines are tested; a suite without coroutines needs neither."""
    ini = {"asyncio_default_fixture_loop_scope": fixture, "asyncio_default_test_loop_scope": test}
    configured = Configured(version="9", ini=ini, is_active=True)
    assert expected == examine_pytest(configured, {}, has_coroutines=True).condition
    assert Condition.HOLDS == examine_pytest(configured, {}, has_coroutines=False).condition


def test_without_pytest_asyncio_scopes_mean_nothing() -> None:
    """Keys that no plugin knows are not asked for: another plugin runs the coroutines."""
    configured = Configured(version="9", ini={}, is_active=True)
    assert Condition.HOLDS == examine_pytest(configured, {}, has_coroutines=True).condition
