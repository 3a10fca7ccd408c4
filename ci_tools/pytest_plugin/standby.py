"""Stand-by: what is left of the plugin where every guard and the journal are off: services for the tests that declare them."""

import pytest

from ci_tools.model.case import Phase
from ci_tools.pytest_plugin.fixtures import provisioning_of


class StandBy:
    """Looks once, after collection, whether any test declares a service; no hook of ours runs for a test before that."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Register the hook of a test's set-up only where it has something to do."""
        if _declares_service(session.items):
            self._config.pluginmanager.register(_Declared(self._config), "ci_tools_declared")


class _Declared:
    """Starts what a test declares before its fixtures ask for it."""

    def __init__(self, config: pytest.Config) -> None:
        self._provisioning = provisioning_of(config)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """The services that the test's marks name."""
        self._provisioning.begin_phase(item, Phase.SETUP)


def _declares_service(items: list[pytest.Item]) -> bool:
    """Whether any item or one of its parents has the mark; each parent is looked at once."""
    seen: set[pytest.Collector] = set()
    for item in items:
        if item.own_markers and _has_mark(item):
            return True
        parent = item.parent
        while parent is not None and parent not in seen:
            if _has_mark(parent):
                return True
            seen.add(parent)
            parent = parent.parent
    return False


def _has_mark(node: pytest.Item | pytest.Collector) -> bool:
    return any(mark.name == "service" for mark in node.own_markers)
