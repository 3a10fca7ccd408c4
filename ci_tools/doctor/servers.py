"""The services: each one provided for real, asked whether it answers, and stopped again; a stranger on its port is named."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ci_tools.doctor.findings import Examined, Finding, Link
from ci_tools.errors import CIToolsError
from ci_tools.host import ports
from ci_tools.model.service import Endpoint, ServiceKind, ServiceSpec
from ci_tools.services import postgres, redis
from ci_tools.services.provision import provide
from ci_tools.services.variables import adopted_variable

_PORTS = {ServiceKind.REDIS: redis.DEFAULT_PORT, ServiceKind.POSTGRES: postgres.DEFAULT_PORT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The services while they run: what was seen, and what tests get in their environment."""

    examined: Examined
    environment: Mapping[str, str] = field(default_factory=dict)


def wanted(declared: Sequence[ServiceSpec], asked: Sequence[str]) -> tuple[ServiceSpec, ...]:
    """The services of the configuration, and those that marks of tests ask for besides."""
    kinds = {spec.kind for spec in declared}
    marked = [kind for kind in ServiceKind if kind.value in asked and kind not in kinds]
    return (*declared, *(ServiceSpec(kind=kind) for kind in marked))


def provide_each(specs: Sequence[ServiceSpec], environ: Mapping[str, str], stack: ExitStack) -> Servers:
    """Provide each service, one after another; they run until ``stack`` is closed, last first."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ci-tools-doctor-")))
    findings: list[Finding] = []
    notes: list[str] = []
    environment: dict[str, str] = {}
    for spec in specs:
        stranger = "" if environ.get(adopted_variable(spec.kind)) else stranger_on_port(spec)
        try:
            provision = stack.enter_context(provide([spec], environ=environ, folder=folder))
        except CIToolsError as error:
            details = (*error.details, stranger) if stranger else error.details
            findings.append(Finding(what=error.what, details=details, remedy=error.hint or ""))
            continue
        slot = provision.slots[0]
        environment.update(slot.environment)
        notes.append(_answered(slot.endpoints[0]))
        if stranger:
            remedy = f"the stranger is left alone and ours listens on {slot.endpoints[0].port}: read its URL, not a fixed port"
            findings.append(Finding(what=stranger, remedy=remedy, is_hint=True))
    note = "; ".join(notes) or "the suite needs none"
    return Servers(examined=Examined(link=Link.SERVICES, findings=tuple(findings), note=note), environment=environment)


def preferred_port(spec: ServiceSpec) -> int:
    """The port that a server of ours asks for first."""
    return spec.port or _PORTS[spec.kind]


def _answered(endpoint: Endpoint) -> str:
    came = endpoint.provenance
    return f"{endpoint.kind} {came.version} answers on {endpoint.host}:{endpoint.port} ({came.provider}, {came.start_ms:.0f} ms)"


def stranger_on_port(spec: ServiceSpec) -> str:
    """Who holds the port that the service would get; empty when it is free. Nobody is connected to in order to learn it."""
    port = preferred_port(spec)
    reservation = ports.reserve(port)
    if reservation is not None:
        reservation.release()
        return ""
    return f"port {port}, which {spec.kind} would get, is held by {_holder(port)}"


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass  # another user's process: its name is not ours to see
    return "a stranger"
