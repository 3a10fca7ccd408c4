"""The assignment: what this process has to do, from the supervisor's order or, under bare pytest, decided here."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ci_tools.errors import CIToolsError
from ci_tools.model.codec import loads
from ci_tools.model.guard import GuardMode, GuardPolicy
from ci_tools.model.worker import MAIN, ORDER_VARIABLE, WorkerOrder

CONTROLLER = "controller"

_KEPT_RUNS = 20
_ARTIFACTS = "ci-artifacts"
"""Where runs lie in a project without a table; the configuration's own default."""
_SHARED_KEY = "ci_tools"


WATCHING: list[object] = []
"""Who follows tests in this process. A pytest that one of these tests starts in the same process is part of that test."""

GUESTS: list[object] = []
"""The configurations of such inner runs of pytest, from before their plugins are configured until all is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The order, the name of this worker, and who decided. ``runs_tests`` is false in pytest-xdist's controller."""

    order: WorkerOrder
    worker: str
    is_ordered: bool

    @property
    def runs_tests(self) -> bool:
        """Whether tests run in this very process."""
        return self.worker != CONTROLLER


def ordered(environ: dict[str, str] | None = None) -> WorkerOrder | None:
    """The order that ``CI_TOOLS_ORDER`` names; None without one; UsageError when its file cannot be read."""
    path = (os.environ if environ is None else environ).get(ORDER_VARIABLE, "")
    if not path:
        return None
    try:
        return loads(WorkerOrder, Path(path).read_text(encoding="utf-8"), where=path)
    except (OSError, CIToolsError) as error:
        what = f"{ORDER_VARIABLE} names {path!r}, which is no worker order: {error}"
        raise pytest.UsageError(what) from error


def assign(config: pytest.Config) -> Assignment:
    """What this process has to do. Call it once pytest-xdist has said whether it distributes."""
    order = ordered()
    worker = worker_name(config)
    if order is not None:
        return Assignment(order=order, worker=worker, is_ordered=True)
    shared = getattr(config, "workerinput", {}).get(_SHARED_KEY)
    if shared is not None:
        return Assignment(order=loads(WorkerOrder, shared, where="workerinput"), worker=worker, is_ordered=False)
    return Assignment(order=_decide(config), worker=worker, is_ordered=False)


def share(workerinput: dict[str, object], assignment: Assignment) -> None:
    """Tell a pytest-xdist worker what its controller decided."""
    from ci_tools.model.codec import dumps  # noqa: PLC0415 - the controller's alone

    workerinput[_SHARED_KEY] = dumps(assignment.order)


def worker_name(config: pytest.Config) -> str:
    """``gw0`` in a pytest-xdist worker, ``controller`` in the process that distributes, else ``main``."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is not None:
        return str(workerinput.get("workerid", "gw"))
    return CONTROLLER if config.pluginmanager.hasplugin("dsession") else MAIN


def may_run_tests(early_config: pytest.Config) -> bool:
    """Whether tests will run in this very process, as far as can be said before pytest-xdist is configured."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        return True
    known = early_config.known_args_namespace
    return not getattr(known, "numprocesses", None) and not getattr(known, "tx", None)


def may_be_configured(root: Path) -> bool:
    """Whether the project may have a table of ours; nearly none has that only has the plugin installed.

    Asked first because the reader of the table takes 20 ms to import.
    """
    path = root / "pyproject.toml"
    try:
        return path.is_file() and "ci-tools" in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False  # pytest itself has more to say about it


def is_debugging(config: pytest.Config) -> bool:
    """Whether a person steps through the tests: every guard is off then."""
    return bool(config.getoption("usepdb", default=False) or config.getoption("trace", default=False))


def is_listing(config: pytest.Config) -> bool:
    """Whether pytest only shows something and runs no test."""
    return any(
        config.getoption(name, default=False) for name in ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")
    )


def _decide(config: pytest.Config) -> WorkerOrder:
    if WATCHING:
        nothing = GuardPolicy(timeout_s=0.0, leaks={}, evidence=GuardMode.OFF, is_journal_on=False)
        return WorkerOrder(run_id="", journal_dir=os.devnull, guard=nothing)
    option = config.getoption("ci_tools_journal", default=None)
    guard, artifacts = _configured(config.rootpath)
    if option == "off" or is_listing(config):
        guard = replace(guard, is_journal_on=False)
    if is_debugging(config):
        guard = replace(guard, timeout_s=0.0, leaks=dict.fromkeys(guard.leaks, GuardMode.OFF), evidence=GuardMode.OFF)
    if option not in {None, "off"}:
        return WorkerOrder(run_id=Path(option).name, journal_dir=str(Path(option).absolute()), guard=guard)
    if not guard.is_journal_on:
        return WorkerOrder(run_id="", journal_dir=os.devnull, guard=guard)
    run_id, folder = _run_folder(config.rootpath / artifacts)
    return WorkerOrder(run_id=run_id, journal_dir=folder, guard=guard)


def _configured(root: Path) -> tuple[GuardPolicy, str]:
    """The guards' settings and the artifacts folder, from the project's table if it has one."""
    if not may_be_configured(root):
        return GuardPolicy(), _ARTIFACTS
    from ci_tools.config.load import load  # noqa: PLC0415 - the plugin stays light where there is nothing to read

    try:
        settings = load(root)
    except CIToolsError as error:
        raise pytest.UsageError(str(error)) from error
    return settings.guard, settings.artifacts


def _run_folder(artifacts: Path) -> tuple[str, str]:
    from ci_tools.host.runs import (  # noqa: PLC0415 - only where a journal is written
        create_run_folder,
        new_run_id,
        prune_bare_runs,
    )

    try:
        run_id = new_run_id(os.environ)
        folder = create_run_folder(artifacts, run_id)
        prune_bare_runs(artifacts, keep=_KEPT_RUNS)
        return run_id, str(folder)
    except CIToolsError as error:
        raise pytest.UsageError(str(error)) from error
    except OSError as error:  # a read-only checkout: tests run there all the same, without a journal
        print(f"ci-tools: no journal, {error}", file=sys.stderr)  # noqa: T201 - pytest has no terminal yet
        return "", os.devnull
