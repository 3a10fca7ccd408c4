"""Costs: what importing each test file took, and setting up the fixtures that outlive a test. The next plan is made from them."""

from collections import defaultdict
from collections.abc import Generator

import pytest

from ci_tools.model.journal import ASKED_BY, CostsMeasured
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.sessionwide import key_of, keys_of

_LEAST_S = 0.001
"""What takes less is not worth a line."""


class Costs(Guard):
    """Measures in one process that runs tests, and writes what it measured after collection and at the end."""

    follows_function_fixtures = False

    def __init__(self, journal: Journal, position: Position) -> None:
        self._journal = journal
        self._position = position
        self._imports: dict[str, float] = {}
        self._fixtures: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._shared: dict[str, float] = {}
        self._open: list[tuple[pytest.FixtureDef[object], str, float]] = []
        self._inner_s = [0.0]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """A file's collector imports it; a class below it belongs to the file."""
        began = CLOCK.perf_counter()
        report = yield
        if any(isinstance(node, pytest.File) for node in collector.listchain()):
            path = collector.nodeid.split("::", 1)[0]
            self._imports[path] = self._imports.get(path, 0.0) + CLOCK.perf_counter() - began
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Say what the imports took, but for the first file's: it has paid for what all of them share."""
        later = dict(list(self._imports.items())[1:])
        if later:
            imports = {path: round(seconds, 5) for path, seconds in later.items()}
            self._journal.write(CostsMeasured(at=CLOCK.time(), imports=imports))
        self._imports = {}

    def begin_fixture(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        """Start the clock of a wider fixture's set-up."""
        if self._position.execution == 1:
            self._open.append((fixturedef, key_of(fixturedef, request, self._position.test_id), CLOCK.perf_counter()))
            self._inner_s.append(0.0)

    def end_fixture(self, fixturedef: pytest.FixtureDef[object], value: object, *, is_up: bool) -> None:
        """Book it on its scope and not on the test that came first."""
        if not self._open or self._open[-1][0] is not fixturedef:
            return
        _, key, began = self._open.pop()
        seconds = CLOCK.perf_counter() - began
        own_s = seconds - self._inner_s.pop()  # without the wider fixtures that it asked for by name
        self._inner_s[-1] += seconds
        if own_s < _LEAST_S:
            return
        booked = self._fixtures[self._position.test_id]
        booked[fixturedef.scope] = round(booked.get(fixturedef.scope, 0.0) + own_s, 5)
        if key:
            self._shared[key] = round(self._shared.get(key, 0.0) + own_s, 5)
            item = self._position.item
            if item is not None and key not in keys_of(item) and not fixturedef.func.__module__.startswith("_pytest."):
                # By getfixturevalue: collecting the file does not say that it needs this.
                self._shared[f"{key}{ASKED_BY}{self._position.test_id.split('::', 1)[0]}"] = self._shared[key]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Say what the fixtures took."""
        if self._fixtures:
            self._journal.write(CostsMeasured(at=CLOCK.time(), fixtures=dict(self._fixtures), shared=self._shared))
