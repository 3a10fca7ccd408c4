"""Collection: a process that only lists tests is bounded too, file by file; one that hangs is a broken file of the plan."""

from collections.abc import Callable

import pytest

from ci_tools.model.guard import GuardPolicy
from ci_tools.pytest_plugin.exits import ExitGuard
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.timeout import Timeouts


def watch_collection(config: pytest.Config, policy: GuardPolicy, say: Callable[[str], None]) -> None:
    """Give each file its time from now on, and nothing else."""
    position, project = Position(), Project(config.rootpath)
    timeouts = Timeouts(
        policy,
        position=position,
        recording=Recording(None, position, project, lists_tests=False),
        ownership=Ownership(project),
        exits=ExitGuard(say, None, position),
        journal=None,
        say=say,
    )
    timeouts.start()
    config.add_cleanup(timeouts.stop)
    config.pluginmanager.register(timeouts, "ci_tools_collection")
