"""The pytest plugin: options, configure, registers the guards; hooks only."""

import os
import sys
from typing import TYPE_CHECKING

import pytest

from ci_tools.pytest_plugin.finder import OwnModules

sys.meta_path.insert(0, OwnModules)  # before the first of our modules that costs anything

from ci_tools.pytest_plugin.assignment import GUESTS, WATCHING, assign, may_run_tests, ordered, share  # noqa: E402 - see above
from ci_tools.pytest_plugin.installation import Installation  # noqa: E402 - see above

if TYPE_CHECKING:
    from ci_tools.pytest_plugin.slots import Claim

_INSTALLATION = pytest.StashKey[Installation]()
_CLAIM: "pytest.StashKey[Claim]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option: where the journal goes. Everything else stands in ``[tool.ci-tools]`` or is pytest-timeout's."""
    group = parser.getgroup("ci-tools", "Journal, guards and services")
    group.addoption(
        "--ci-tools-journal",
        metavar="DIR|off",
        default=None,
        help="folder of the journal (default: ci-artifacts/<run>/ in the root folder), or 'off'",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Claim this process's services and put them into the environment: a conftest.py may read it when it is imported."""
    if WATCHING:
        GUESTS.append(early_config)
        early_config.add_cleanup(lambda: GUESTS.remove(early_config))
    _check_timeouts(early_config)
    order = ordered()
    if order is not None:
        from ci_tools.pytest_plugin.calm import Calm  # noqa: PLC0415 - of ordered workers only

        calm = Calm()
        early_config.pluginmanager.register(calm, "ci_tools_calm")
        early_config.add_cleanup(calm.end)  # where nothing is collected
    if order is not None and (order.seed or order.sequence):
        from ci_tools.pytest_plugin.seed import Seed  # noqa: PLC0415 - of ordered workers only

        early_config.pluginmanager.register(Seed(order), "ci_tools_seed")
    if order is not None and order.slots_path and not order.collect_to and may_run_tests(early_config):
        from ci_tools.pytest_plugin.slots import claim, empty  # noqa: PLC0415 - of ordered workers only

        early_config.stash[_CLAIM] = claimed = claim(order.slots_path)
        os.environ.update(claimed.slot.environment)
        if claimed.was_used:
            empty(claimed)


def _check_timeouts(config: pytest.Config) -> None:
    """Before pytest-timeout takes them: there a word that is no number is an internal error."""
    words = {"PYTEST_TIMEOUT": os.environ.get("PYTEST_TIMEOUT")}
    if config.pluginmanager.hasplugin("timeout"):
        words["pytest's `timeout`"] = config.getini("timeout")
    for where, word in words.items():
        try:
            float(word or 0)
        except ValueError:
            what = f"{where} is {word!r}, expected a number of seconds"
            raise pytest.UsageError(f"{what}; write 60, or 0 for no timeout") from None


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, then everything that this process needs; after pytest-xdist, which decides whether tests run here."""
    config.addinivalue_line(
        "markers",
        "service(*names): the services that the test must really touch, like service('redis'); measured, and failed if untouched",
    )
    config.addinivalue_line(
        "markers",
        "together(name): tests with the same name run in one shard, and there in one pytest-xdist worker, as with xdist_group",
    )
    config.addinivalue_line(
        "markers",
        "allow_leak(kind, match='', reason): what the test may leave behind (task, thread, connection, …): a pattern over"
        " the finding's text; an allowance that matches nothing is reported",
    )
    assignment = assign(config)
    config.stash[_INSTALLATION] = installation = Installation(config, assignment, config.stash.get(_CLAIM, None))
    installation.register()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell a pytest-xdist worker what its controller decided."""
    config: pytest.Config = node.config  # type: ignore[attr-defined] # pytest-xdist's WorkerController
    installation = config.stash.get(_INSTALLATION, None)
    if installation is not None:
        share(node.workerinput, installation.assignment)  # type: ignore[attr-defined] # as above


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what several tests leaked at one place, and which tests were slow."""
    installation = terminalreporter.config.stash.get(_INSTALLATION, None)
    if installation is not None and installation.looks_at_tests:
        from ci_tools.pytest_plugin.leaks.summary import say_leaks  # noqa: PLC0415 - at the end only
        from ci_tools.pytest_plugin.slow import say_slow  # noqa: PLC0415 - as above

        say_leaks(terminalreporter)
        say_slow(terminalreporter)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Write the end marker and watch over the way out."""
    installation = config.stash.get(_INSTALLATION, None)
    if installation is not None:
        installation.end()
