"""The installation: everything of ours in one pytest process, put together and taken apart in one place."""

import contextlib
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci_tools.model.guard import GuardMode, GuardPolicy
from ci_tools.model.worker import ORDER_VARIABLE
from ci_tools.pytest_plugin import fixtures
from ci_tools.pytest_plugin.assignment import CONTROLLER, WATCHING, Assignment, is_debugging, is_listing
from ci_tools.pytest_plugin.clock import CLOCK
from ci_tools.pytest_plugin.exits import ExitGuard
from ci_tools.pytest_plugin.fixtures import PROVISIONING
from ci_tools.pytest_plugin.standby import StandBy

if TYPE_CHECKING:
    from ci_tools.model.journal import WorkerStarted
    from ci_tools.pytest_plugin.journal import Journal
    from ci_tools.pytest_plugin.slots import Claim
    from ci_tools.pytest_plugin.watch import Watch

_XDIST_EXIT_S = 7.0


class Installation:
    """What this process got, by its assignment. What it does not need is not even imported: every pytest comes here."""

    def __init__(self, config: pytest.Config, assignment: Assignment, claim: "Claim | None" = None) -> None:
        self.assignment = assignment
        self._config = config
        self._claim = claim
        self._pid = os.getpid()
        self._is_xdist_worker = hasattr(config, "workerinput")
        self._terminal = os.dup(2)  # pytest captures later; what a guard says at the end must be seen
        self._exit_status: int | None = None
        self._watch: Watch | None = None
        self._exits: ExitGuard | None = None
        self._journal = _open_journal(config, assignment)

    @property
    def looks_at_tests(self) -> bool:
        """Whether anything of ours follows a test, here or in the workers of this pytest-xdist controller."""
        return self._journal is not None or self._claim is not None or not _is_off(self.assignment.order.guard)

    def register(self) -> None:
        """Register what this process needs with pytest."""
        order = self.assignment.order
        plugins = self._config.pluginmanager
        plugins.register(self, "ci_tools_installation")
        if secrets := _secrets():
            from ci_tools.pytest_plugin.naming import Naming  # noqa: PLC0415 - only where there is something to hide

            plugins.register(Naming(secrets), "ci_tools_naming")
        if order.guard.services:
            from ci_tools.pytest_plugin.declared import Declared  # noqa: PLC0415 - only where a folder declares something

            plugins.register(Declared(self._config.rootpath, order.guard.services), "ci_tools_declared_by_folder")
        if order.collect_to:
            from ci_tools.pytest_plugin.selection import Listing  # noqa: PLC0415 - of this mode only

            plugins.register(Listing(Path(order.collect_to)), "ci_tools_listing")
            if order.guard.collection_s:
                from ci_tools.pytest_plugin.collection import watch_collection  # noqa: PLC0415 - as above

                watch_collection(self._config, order.guard, self.say)
            return
        if is_listing(self._config):  # what is shown is what a run has
            plugins.register(fixtures, "ci_tools_fixtures")
            return
        if not self.assignment.runs_tests:
            from ci_tools.pytest_plugin.controller import Controlling  # noqa: PLC0415 - the controller's alone
            from ci_tools.pytest_plugin.crashes import Crashes  # noqa: PLC0415 - as above
            from ci_tools.pytest_plugin.scheduling import Scheduling  # noqa: PLC0415 - as above

            plugins.register(Crashes(self._journal, Path(order.journal_dir)), "ci_tools_crashes")
            plugins.register(Scheduling(order.groups), "ci_tools_scheduling")
            plugins.register(Controlling(), "ci_tools_controlling")
            return
        if self._is_xdist_worker:
            from ci_tools.pytest_plugin.controller import Controlled  # noqa: PLC0415 - a pytest-xdist worker's alone

            self._config.add_cleanup(Controlled.start(plugins).stop)
        # A test may start pytest itself: that one has no part in this order.
        os.environ.pop(ORDER_VARIABLE, None)
        if order.files is not None:
            from ci_tools.pytest_plugin.selection import Selection  # noqa: PLC0415 - of shards only

            plugins.register(Selection(order, self._journal), "ci_tools_selection")
        plugins.register(fixtures, "ci_tools_fixtures")
        if self.looks_at_tests:
            self._begin_watch()
        else:
            self._stand_by()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Note pytest's exit status, after every other plugin has had its say."""
        if self._watch is not None:
            self._watch.begin_finish()
        try:
            return (yield)
        finally:
            self._exit_status = int(session.exitstatus)

    def end(self) -> None:
        """The session is over: the end marker, then out of the way."""
        if os.getpid() != self._pid:
            return
        if self._exits is not None:
            self._exits.remove()
        if self in WATCHING:
            WATCHING.remove(self)
        if self._watch is not None:
            self._watch.end(self._exit_status)
            # pytest-xdist's controller kills a worker that does not exit in 10 s and says nothing: be first.
            exit_s = self.assignment.order.guard.exit_s
            self._watch.begin_exit(min(exit_s, _XDIST_EXIT_S) if self._is_xdist_worker else exit_s)
        elif self._journal is not None and self._exit_status is not None:
            from ci_tools.model.journal import SessionFinished  # noqa: PLC0415 - loaded with the journal

            self._journal.write(SessionFinished(at=CLOCK.time(), exit_status=self._exit_status, finished=0))
        if self._watch is None and WATCHING:  # a part of somebody's test: there may be hundreds
            with contextlib.suppress(OSError):
                os.close(self._terminal)

    def say(self, text: str) -> None:
        """Write to the real standard error, past pytest's capture; a closed one takes nothing.

        A pytest-xdist worker stays silent: its controller shows what its journal says.
        """
        if self._is_xdist_worker:
            return
        with contextlib.suppress(OSError):
            os.write(self._terminal, (text.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))

    def _begin_watch(self) -> None:
        """Everything that follows a test from phase to phase."""
        WATCHING.append(self)
        from ci_tools.pytest_plugin.watch import Watch  # noqa: PLC0415 - its imports take 50 ms

        self._watch = watch = Watch(
            self._config, self.assignment.order.guard, self._journal, self._claim, self.say, lists_tests=not self._is_xdist_worker
        )
        self._config.stash[PROVISIONING] = watch.provisioning
        watch.register()

    def _stand_by(self) -> None:
        """Everything is off: no hook of ours runs for any test, unless one declares a service."""
        self._config.pluginmanager.register(StandBy(self._config), "ci_tools_stand_by")
        if not is_debugging(self._config):
            self._exits = ExitGuard(self.say)
            self._exits.install()


def _is_off(policy: GuardPolicy) -> bool:
    """Whether no guard has anything to do."""
    leaks = policy.leaks.values()
    has_deadline = policy.timeout_s or policy.file_s or policy.phases
    return not has_deadline and policy.evidence is GuardMode.OFF and all(mode is GuardMode.OFF for mode in leaks)


def _secrets() -> dict[str, str]:
    from ci_tools.summary.secrecy import secrets_of  # noqa: PLC0415 - not at import: a pytest that only asks for help has no need

    return secrets_of(os.environ)


def _open_journal(config: pytest.Config, assignment: Assignment) -> "Journal | None":
    order = assignment.order
    if not order.guard.is_journal_on or order.collect_to or order.journal_dir == os.devnull:
        return None
    from ci_tools.model.shard import ShardRef  # noqa: PLC0415 - only where there is a journal
    from ci_tools.pytest_plugin.journal import Journal, journal_name  # noqa: PLC0415 - as above
    from ci_tools.summary.masking import Mask  # noqa: PLC0415 - as above

    name = journal_name(shard_slug=ShardRef.parse(order.shard).slug, worker=assignment.worker, pid=os.getpid())
    journal = Journal(Path(order.journal_dir) / name, Mask(_secrets().values()).event_line)
    journal.write(_started(config, assignment))
    return journal


def _started(config: pytest.Config, assignment: Assignment) -> "WorkerStarted":
    from ci_tools import __version__  # noqa: PLC0415 - as above
    from ci_tools.model.journal import WorkerStarted  # noqa: PLC0415 - as above
    from ci_tools.pytest_plugin.seed import seed_of  # noqa: PLC0415 - as above

    order = assignment.order
    return WorkerStarted(
        at=CLOCK.time(),
        run_id=order.run_id,
        worker=assignment.worker,
        pid=os.getpid(),
        role="worker" if assignment.runs_tests else CONTROLLER,
        run_attempt=order.run_attempt,
        configuration=order.configuration,
        shard=order.shard,
        generation=order.generation,
        plan_digest=order.plan_digest,
        commit=order.commit,
        python=sys.version.split()[0],
        pytest=pytest.__version__,
        platform=sys.platform,
        tool=__version__,
        root=str(config.rootpath),
        seed=seed_of(config),
        hash_seed=os.environ.get("PYTHONHASHSEED", ""),
        settings=order.settings,
    )
