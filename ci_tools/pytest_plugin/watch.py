"""The watch: what follows every test of this process from phase to phase, put together in one place."""

import atexit
from collections.abc import Callable

import pytest

from ci_tools.model.guard import GuardMode, GuardPolicy
from ci_tools.pytest_plugin.assignment import is_debugging
from ci_tools.pytest_plugin.costs import Costs
from ci_tools.pytest_plugin.evidence import Evidence
from ci_tools.pytest_plugin.exits import ExitGuard
from ci_tools.pytest_plugin.failures import Project
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.hollow import HollowGuard
from ci_tools.pytest_plugin.journal import Journal
from ci_tools.pytest_plugin.leaks.finding import Findings
from ci_tools.pytest_plugin.leaks.kinds import leak_guards
from ci_tools.pytest_plugin.leaks.redis_locks import LockGuard
from ci_tools.pytest_plugin.leaks.services import KINDS as SERVICE_KINDS
from ci_tools.pytest_plugin.leaks.services import ServiceGuard
from ci_tools.pytest_plugin.ownership import Ownership
from ci_tools.pytest_plugin.phases import Phases
from ci_tools.pytest_plugin.position import Position
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.slots import Claim
from ci_tools.pytest_plugin.timeout import Timeouts


class Watch:
    """The recording and the guards of one process that runs tests."""

    def __init__(
        self,
        config: pytest.Config,
        policy: GuardPolicy,
        journal: Journal | None,
        claim: Claim | None,
        say: Callable[[str], None],
        *,
        lists_tests: bool,
    ) -> None:
        self._config = config
        self._position = position = Position()
        self._project = project = Project(config.rootpath)
        self._recording = recording = Recording(journal, position, project, lists_tests=lists_tests, markers=policy.markers)
        self.provisioning = provisioning = Provisioning(config.rootpath, claim)
        self._exits: ExitGuard | None = None
        self._timeouts: Timeouts | None = None
        self._has_left: Callable[[], bool] = lambda: True
        self._stirred: set[Guard] = set()
        # With a slot everything is there already, and nobody needs to be asked before each test.
        guards: tuple[Guard, ...] = () if claim is not None else (provisioning,)
        if not is_debugging(config):
            self._exits = exits = ExitGuard(say, recording, position)
            ownership = Ownership(project)
            self._timeouts = timeouts = Timeouts(
                policy, position=position, recording=recording, ownership=ownership, exits=exits, journal=journal, say=say
            )
            is_evidence_on = policy.evidence is not GuardMode.OFF
            evidence = Evidence(provisioning, recording, ownership, policy.evidence) if is_evidence_on else None
            # Told of a phase's end in reverse: leaks are looked for, made a failure, then a timeout has the last word.
            guards += (ownership, timeouts)
            findings = Findings(recording, policy, ownership.stirred, say if lists_tests and _is_whole(config) else None)
            guards += (findings, *leak_guards(ownership, findings, project))
            if any(findings.is_on(kind) for kind in SERVICE_KINDS):
                asks = (provisioning, evidence.count_anew if evidence else None)
                guards += (LockGuard(ownership, findings, project, *asks), ServiceGuard(ownership, findings, project, *asks))
            if evidence is not None:
                guards += (evidence, HollowGuard(policy.evidence, recording))
            self._has_left = ownership.has_left
            self._stirred = ownership.stirred
        self._costs = Costs(journal, position) if journal is not None else None
        if self._costs is not None:
            guards += (self._costs,)  # last, so that its clock has no guard's time in it
        self._guards = guards

    def register(self) -> None:
        """Begin to watch."""
        plugins = self._config.pluginmanager
        if self._exits is not None:
            self._exits.install()
        if self._timeouts is not None:
            self._timeouts.start()
            plugins.register(self._timeouts, "ci_tools_timeouts")
        plugins.register(self._recording, "ci_tools_recording")
        if self._costs is not None:
            plugins.register(self._costs, "ci_tools_costs")
        phases = Phases(
            self._position, self._recording, self._project, self._guards, stirred=self._stirred, has_left=self._has_left
        )
        plugins.register(phases, "ci_tools_phases")

    def begin_finish(self) -> None:
        """The session is about to finish, which is bounded too."""
        if self._timeouts is not None:
            self._timeouts.begin_finish()

    def end(self, exit_status: int | None) -> None:
        """The session is over: put back what was patched, then write the end marker."""
        if self._exits is not None:
            self._exits.remove()
        for guard in reversed(self._guards):
            guard.remove()
        if self.provisioning not in self._guards:
            self.provisioning.remove()
        if exit_status is not None:
            self._recording.end_session(exit_status)

    def begin_exit(self, timeout_s: float) -> None:
        """The interpreter's way out is bounded."""
        if self._timeouts is not None:
            self._timeouts.begin_exit(timeout_s)
            atexit.register(self._timeouts.tidy)


def _is_whole(config: pytest.Config) -> bool:
    """Whether nobody chose among the tests."""
    is_chosen = config.option.keyword or config.option.markexpr or getattr(config.option, "deselect", None)
    return not is_chosen and config.args_source is not pytest.Config.ArgsSource.ARGS
