"""The installation: everything of ours in one pytest process, put together and taken apart in one place."""

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci_tools import __version__
from ci_tools.model.guard import GuardMode
from ci_tools.model.journal import SessionFinished, WorkerStarted
from ci_tools.model.shard import ShardRef
from ci_tools.model.worker import ORDER_VARIABLE
from ci_tools.pytest_plugin import fixtures
from ci_tools.pytest_plugin.assignment import CONTROLLER, Assignment, is_debugging
from ci_tools.pytest_plugin.evidence import Evidence
from ci_tools.pytest_plugin.exits import ExitGuard
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.fixtures import PROVISIONING
from ci_tools.pytest_plugin.hollow import HollowGuard
from ci_tools.pytest_plugin.journal import Journal, journal_name
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.kinds import leak_guards
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.phases import Phases
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.selection import Listing, Selection
from ci_tools.pytest_plugin.slots import Claim
from ci_tools.pytest_plugin.timeout import Timeouts

if TYPE_CHECKING:
    from ci_tools.pytest_plugin.guard import Guard

_XDIST_EXIT_S = 7.0


class Installation:
    """What this process got, by its assignment."""

    def __init__(self, config: pytest.Config, assignment: Assignment, claim: Claim | None = None) -> None:
        self.assignment = assignment
        self._config = config
        self._claim = claim
        self._pid = os.getpid()
        self._is_xdist_worker = hasattr(config, "workerinput")
        self._terminal = os.dup(2)  # pytest captures later; what a guard says at the end must be seen
        self._exit_status: int | None = None
        self._recording: Recording | None = None
        self._exits: ExitGuard | None = None
        self._guards: tuple[Guard, ...] = ()
        self._timeouts: Timeouts | None = None
        order = assignment.order
        self._journal: Journal | None = None
        if order.guard.is_journal_on and not order.collect_to and order.journal_dir != os.devnull:
            slug = ShardRef.parse(order.shard).slug
            name = journal_name(shard_slug=slug, worker=assignment.worker, pid=self._pid)
            self._journal = Journal(Path(order.journal_dir) / name)
            self._journal.write(_started(config, assignment))

    def register(self) -> None:
        """Register what this process needs with pytest."""
        order = self.assignment.order
        plugins = self._config.pluginmanager
        plugins.register(self, "ci_tools_installation")
        if order.collect_to:
            plugins.register(Listing(Path(order.collect_to)), "ci_tools_listing")
            return
        if not self.assignment.runs_tests:
            from ci_tools.pytest_plugin.crashes import Crashes  # noqa: PLC0415 - the controller's alone

            plugins.register(Crashes(self._journal, Path(order.journal_dir)), "ci_tools_crashes")
            return
        # A test may start pytest itself: that one has no part in this order.
        os.environ.pop(ORDER_VARIABLE, None)
        if order.files is not None:
            plugins.register(Selection(order, self._journal), "ci_tools_selection")
        self._watch()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Note pytest's exit status, after every other plugin has had its say."""
        if self._timeouts is not None:
            self._timeouts.begin_finish()
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
        for guard in reversed(self._guards):
            guard.remove()
        if self._exit_status is not None:
            if self._recording is not None:
                self._recording.end_session(self._exit_status)
            elif self._journal is not None:
                self._journal.write(SessionFinished(at=time.time(), exit_status=self._exit_status, finished=0))
        if self._timeouts is not None:
            # pytest-xdist's controller kills a worker that does not exit in 10 s and says nothing: be first.
            exit_s = self.assignment.order.guard.exit_s
            self._timeouts.begin_exit(min(exit_s, _XDIST_EXIT_S) if self._is_xdist_worker else exit_s)
            atexit.register(self._timeouts.tidy)

    def say(self, text: str) -> None:
        """Write to the real standard error, past pytest's capture; a closed one takes nothing.

        A pytest-xdist worker stays silent: its controller shows what its journal says.
        """
        if self._is_xdist_worker:
            return
        with contextlib.suppress(OSError):
            os.write(self._terminal, (text.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))

    def _watch(self) -> None:
        plugins = self._config.pluginmanager
        policy = self.assignment.order.guard
        position = Position()
        project = Project(self._config.rootpath)
        self._recording = recording = Recording(self._journal, position, project, lists_tests=not self._is_xdist_worker)
        provisioning = Provisioning(self._config.rootpath, self._claim)
        self._config.stash[PROVISIONING] = provisioning
        plugins.register(fixtures, "ci_tools_fixtures")
        self._guards = (provisioning,)
        if not is_debugging(self._config):
            self._exits = exits = ExitGuard(recording, position, self.say)
            ownership = Ownership(project)
            self._timeouts = timeouts = Timeouts(
                policy,
                position=position,
                recording=recording,
                ownership=ownership,
                exits=exits,
                journal=self._journal,
                say=self.say,
            )
            findings = Findings(recording, policy.leaks)
            # Told of a phase's end in reverse: leaks are looked for, made a failure, then a timeout has the last word.
            guards: tuple[Guard, ...] = (provisioning, ownership, timeouts, findings)
            guards += leak_guards(ownership, findings, project)
            if policy.evidence is not GuardMode.OFF:
                guards += (Evidence(provisioning, recording, policy.evidence), HollowGuard(policy.evidence))
            self._guards = guards
            exits.install()
            timeouts.start()
            plugins.register(timeouts, "ci_tools_timeouts")
        plugins.register(recording, "ci_tools_recording")
        plugins.register(Phases(position, recording, project, self._guards), "ci_tools_phases")


def _started(config: pytest.Config, assignment: Assignment) -> WorkerStarted:
    order = assignment.order
    return WorkerStarted(
        at=time.time(),
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
    )
