"""Evidence: how often a test really spoke to the services that it declares, as their servers counted it."""

import contextlib
from typing import TYPE_CHECKING

import pytest

from ci_tools.model.case import Phase
from ci_tools.model.guard import GuardMode
from ci_tools.model.service import Endpoint, ServiceKind
from ci_tools.pytest_plugin.guard import Guard
from ci_tools.pytest_plugin.provisioning import Provisioning
from ci_tools.pytest_plugin.recording import Recording
from ci_tools.pytest_plugin.selection import services_of

if TYPE_CHECKING:
    from ci_tools.services.resp import RespConnection

REDIS = ServiceKind.REDIS.value
PROPERTY = "redis_commands"
_TIMEOUT_S = 2.0


class NoEvidenceError(pytest.fail.Exception):  # type: ignore[misc,name-defined] # public, but only an attribute
    """A test passed without touching a service that it declares."""


class NoEvidenceWarning(pytest.PytestWarning):
    """The same, where the configuration says ``warn``."""


class Evidence(Guard):
    """Counts the commands of a test that declares ``redis``, from its set-up to the end of its call."""

    def __init__(self, provisioning: Provisioning, recording: Recording, mode: GuardMode) -> None:
        self._provisioning = provisioning
        self._recording = recording
        self._mode = mode
        self._connection: RespConnection | None = None
        self._asked = 0
        self._before: int | None = None
        self._own_servers = 0

    def begin_phase(self, item: pytest.Item, phase: Phase) -> None:
        """Remember where the server's counter stands."""
        if phase is Phase.SETUP and REDIS in services_of(item):
            self._own_servers = self._provisioning.own_servers
            self._before = self._count()

    def end_phase(self, item: pytest.Item, phase: Phase, error: BaseException | None) -> BaseException | None:
        """A call that passed must have been noticed by the server."""
        if phase is not Phase.CALL or REDIS not in services_of(item):
            return error
        before, self._before = self._before, None
        after = self._count() if before is not None else None
        if before is None or after is None:
            return error
        commands = after - before if after >= before else after  # a server that was restarted counts from zero
        item.user_properties.append((PROPERTY, str(commands)))
        if self._recording.execution is not None:
            self._recording.execution.properties[PROPERTY] = str(commands)
        spoke_elsewhere = self._provisioning.own_servers > self._own_servers
        if commands > 0 or error is not None or spoke_elsewhere or self._mode is GuardMode.OFF:
            return error
        message = "declared redis, 0 commands: the test passed, and its Redis server was never asked anything by it"
        if self._mode is GuardMode.ERROR:
            return NoEvidenceError(message, pytrace=False)
        try:
            item.warn(NoEvidenceWarning(message))
        except NoEvidenceWarning as raised:  # the suite's filters turn warnings into errors
            return raised
        return error

    def remove(self) -> None:
        """Close our connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.__exit__(None, None, None)
            self._connection = None

    def _count(self) -> int | None:
        """Commands that the server has answered to others so far; None where no server is this process's alone."""
        endpoint = self._provisioning.counted(ServiceKind.REDIS)
        if endpoint is None:
            return None
        from ci_tools.services.resp import RespError  # noqa: PLC0415 - only where a test declares redis

        for _ in range(2):  # the test may have killed our connection along with all others
            try:
                connection = self._connection or self._connect(endpoint)
                answered = int(connection.info("stats")["total_commands_processed"])
            except (OSError, RespError, KeyError, ValueError):
                self._connection = None
                continue
            others = answered - self._asked  # the counter does not hold the question that it answers
            self._asked += 1
            return others
        return None

    def _connect(self, endpoint: Endpoint) -> "RespConnection":
        from ci_tools.services import resp  # noqa: PLC0415 - as above

        if endpoint.socket_path:
            connection = resp.connect_unix(endpoint.socket_path, _TIMEOUT_S)
        else:
            connection = resp.connect_tcp(endpoint.host, endpoint.port, _TIMEOUT_S)
        if endpoint.password:
            connection.ask("AUTH", endpoint.password)
            self._asked += 1
        self._connection = connection
        return connection
