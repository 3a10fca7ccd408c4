"""The plugin is a guest in every pytest of an environment: importing it loads little."""

import json
import subprocess
import sys

HEAVY = {
    "asyncio",
    "ci_tools.config",
    "ci_tools.services",
    "ci_tools.sharding",
    "ci_tools.reports",
    "ci_tools.pipeline",
    "ctypes",
    "filelock",
    "junitparser",
    "lxml",
    "multiprocessing",
    "packaging",
    "psutil",
    "redis",
    "tomllib",
}
PROGRAM = """
import json, sys
import pytest
before = set(sys.modules)
import ci_tools.pytest_plugin.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def _loaded() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], text=True, capture_output=True, timeout=60, check=True)
    names: list[str] = json.loads(done.stdout)
    return names


def test_importing_the_plugin_loads_nothing_heavy() -> None:
    """No configuration, service, server client or asyncio comes with it."""
    assert HEAVY & set(_loaded()) == set()


def test_importing_the_plugin_loads_its_own_rooms_only() -> None:
    """Of the toolkit it is the plugin, the model and the errors."""
    ours = {name.split(".")[1] for name in _loaded() if name.startswith("ci_tools.")}
    assert ours == {"errors", "model", "pytest_plugin"}
