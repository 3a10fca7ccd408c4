"""Server: the life that every server of ours has: started on a port that is held for it, killed, restarted, stopped."""

import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from ci_tools.errors import ServiceError
from ci_tools.host import ports
from ci_tools.model.service import Endpoint, ServiceSpec
from ci_tools.services.launch import Launched, PortTakenError
from ci_tools.services.versions import fits

if TYPE_CHECKING:
    from ci_tools.host.process import GuardedProcess

T = TypeVar("T")


class Server(ABC):
    """A server under a guard. Its URL, password and port stay the same over ``kill`` and ``restart``; its data do not.

    A kind of server says how it is started on a port that is held for it, and how long it may take to end.
    """

    def __init__(self, spec: ServiceSpec, *, log: Path | None, tried: Iterable[str], port: int | None) -> None:
        self._spec = spec
        self._log = log
        self._tried = tuple(tried)
        self._preferred_port = port
        self._password = secrets.token_urlsafe(24)
        self._process: GuardedProcess | None = None
        self._held: ports.Reservation | None = None
        self._endpoint: Endpoint | None = None
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers, as of the last start: database 0, or the maintenance database. ServiceError before the first one."""
        if self._endpoint is None:
            raise ServiceError(f"this {self._spec.kind} was never started", hint="call start() first")
        return self._endpoint

    @property
    def url(self) -> str:
        """The endpoint's URL with its password."""
        return self.endpoint.url

    def start(self) -> Endpoint:
        """Start on the preferred port, or on another when a stranger has it. ServiceError when it is not ready in time."""
        self._stopping.clear()
        for reservation in ports.reservations(self._preferred_port, self._spec.port_range):
            with reservation:
                try:
                    return self._begin(reservation)
                except PortTakenError:
                    continue
        asked = f"{self._spec.port_range[0]}-{self._spec.port_range[1]}" if self._spec.port_range else "any"
        raise ServiceError(
            f"no port for {self._spec.kind} on {ports.LOOPBACK}: all of {asked} are taken",
            hint="widen `port_range` of the service, or end the programs that hold these ports",
        )

    def kill(self) -> None:
        """End the server as a crash would, as far as its clients see: at once. The port stays ours, and refuses."""
        if self._process is not None:
            self._process.end(self._grace_s)
            self._process = None
            self._held = ports.reserve(self.endpoint.port)

    def restart(self) -> Endpoint:
        """Kill it if it runs, and start it anew, empty, on the same port with the same password."""
        port = self.endpoint.port
        self.kill()
        held, self._held = self._held or ports.reserve(port), None
        what = f"port {port} was taken while {self._spec.kind} was down"
        if held is None:
            raise ServiceError(what, hint="restart sooner, or start a new server")
        with held:
            try:
                return self._begin(held)
            except PortTakenError as error:
                raise ServiceError(what, hint="start a new server") from error

    def stop(self) -> None:
        """End the server and remove its folder; twice is the same as once. Nothing of its state is saved.

        From another thread it also ends a start that is still going on.
        """
        self._stopping.set()
        if self._held is not None:
            self._held.release()
            self._held = None
        if self._process is not None:
            self._process.end(self._grace_s)
            self._process = None

    @property
    @abstractmethod
    def _grace_s(self) -> float:
        """What the server gets to end in before it is killed; 0 kills it."""

    @abstractmethod
    def _start_on(self, reservation: ports.Reservation) -> "tuple[GuardedProcess, Endpoint]":
        """A server that is ready on this port; PortTakenError when somebody else has it, with nothing left behind."""

    def _demand_version(self, launched: Launched[T], program: Path, version: str) -> None:
        """End a server whose version is not the one that is wanted: it may not have said so before it ran."""
        if not fits(version, self._spec.version):
            launched.process.end(self._grace_s)
            raise ServiceError(
                f"{program} is version {version}, wanted {self._spec.version}",
                hint="widen `version` of the service, or install one that fits",
            )

    def _begin(self, reservation: ports.Reservation) -> Endpoint:
        self._process, self._endpoint = self._start_on(reservation)
        return self._endpoint
