"""Groups: pytest-xdist's controller keeps the tests of one group in one worker, by the plan's groups.

pytest-xdist itself reads them from a suffix that it writes to each test's ID, which pytest 9.2 no longer lets it do: there
``--dist loadgroup`` alone spreads a group over all workers and says nothing.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # it ships no types


class _GroupScheduling(LoadScopeScheduling):  # type: ignore[misc] # as above
    """A group is what LoadScopeScheduling calls a scope; a test without one is alone in its own."""

    def __init__(self, config: pytest.Config, log: Any, groups: Mapping[str, str]) -> None:  # noqa: ANN401 - xdist's Producer
        super().__init__(config, log)
        self._groups = groups

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid if nodeid in self._groups else nodeid.rpartition("@")[0]
        return f"group {self._groups[name]}" if name in self._groups else nodeid


class Groups:
    """Gives the controller its scheduler."""

    def __init__(self, groups: Mapping[str, str]) -> None:
        self._groups = groups

    @pytest.hookimpl(tryfirst=True, optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadScopeScheduling | None:  # noqa: ANN401 - as above
        """Ours for ``--dist loadgroup``; what else the user chose stays pytest-xdist's."""
        return _GroupScheduling(config, log, self._groups) if config.getoption("dist") == "loadgroup" else None
