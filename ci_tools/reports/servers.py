"""Which server a failure was about: by the ports that many failures name, and by the code that asked. Pure."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ci_tools.reports.clients import UNRESOLVED
from ci_tools.reports.grievance import Grievance
from ci_tools.reports.places import askers_of
from ci_tools.reports.protocols import protocol_of
from ci_tools.reports.roots import links_of
from ci_tools.reports.signatures import Signature, port_of
from ci_tools.reports.wording import FIRST_EPHEMERAL_PORT

MANY_PORTS = 5
"""From this many different ports in one kind of failure on, they may be handed out and not chosen."""

KNOWN_PORTS = frozenset(
    {80, 443, 1433, 1521, 1883, 2181, 2379, 3000, 3306, 4222, 4317, 5000, 5432, 5672, 6379, 8000, 8080, 8086, 8500, 9000, 9092}
    | {9200, 11211, 15672}
)
"""Ports of well-known services: nobody is handed one."""


def with_servers(grievances: Sequence[Grievance], root: str) -> list[Grievance]:
    """Each failure with the server that it was about, where its port was chosen: a port that was handed out is noise."""
    alike: dict[Signature, list[Grievance]] = {}
    for grievance in grievances:
        alike.setdefault(grievance.signature, []).append(grievance)
    shared = _shared(grievances)
    found: list[Grievance] = []
    for signature, members in alike.items():
        shards_of: dict[str, set[str]] = {}
        for member in members:
            for server in member.contact.servers:
                shards_of.setdefault(server, set()).add(member.shard)
        chosen = _chosen(shards_of, len(members)) | (shared & shards_of.keys())
        fixed = {server: signature.of_server(_steady(server, signature)) for server in chosen}
        found.extend(_with_server(member, fixed) if fixed else member for member in members)
    return _with_only_server(found, root)


def _with_only_server(grievances: Sequence[Grievance], root: str) -> list[Grievance]:
    """What a client did not name its server for joins the only server that the same code asked, and of which it says the same."""
    faults = {one.contact.fault for one in grievances if not one.contact.servers}
    known: dict[tuple[str, str, str], dict[str, Signature]] = {}
    for grievance in grievances:
        fault, server = grievance.contact.fault, grievance.signature.server
        if fault and server and fault in faults:
            protocol = protocol_of(links_of(grievance.failure))
            for asker in itertools.chain.from_iterable(askers_of(grievance.failure, root)):
                known.setdefault((fault, asker, protocol), {})[server] = grievance.signature
    asked = {fault for fault, *_ in known}
    return [
        _with_server_asked(one, known, root) if one.contact.fault in asked and not one.contact.servers else one
        for one in grievances
    ]


def _with_server_asked(
    grievance: Grievance, known: Mapping[tuple[str, str, str], Mapping[str, Signature]], root: str
) -> Grievance:
    """With the one server that was asked: by functions that speak to no other, else by such classes, else by such files.

    Only through clients that speak the same: who asks a cache does not ask what is asked over HTTP.
    """
    protocol = protocol_of(links_of(grievance.failure))
    fault = grievance.contact.fault
    protocols = {protocol, ""} if protocol else {spoken for *_, spoken in known}
    for askers in askers_of(grievance.failure, root):
        asked = [
            {server: signature for spoken in protocols for server, signature in known.get((fault, asker, spoken), {}).items()}
            for asker in askers
        ]
        only = {server: signature for found in asked if len(found) == 1 for server, signature in found.items()}
        if only:
            return replace(grievance, signature=next(iter(only.values()))) if len(only) == 1 else grievance
    return grievance


def servers_of_files(grievances: Iterable[Grievance], root: str) -> dict[str, set[str]]:
    """Which servers each of the project's files is seen to speak to."""
    found: dict[str, set[str]] = {}
    for grievance in grievances:
        if grievance.contact.servers:
            for path in askers_of(grievance.failure, root)[-1]:
                found.setdefault(path, set()).update(grievance.contact.servers)
    return found


def _shared(grievances: Iterable[Grievance]) -> set[str]:
    """The servers that two shards speak of, in whatever words: nobody hands out one port twice."""
    shards_of: dict[str, str] = {}
    shared = set()
    for grievance in grievances:
        for server in grievance.contact.servers:
            if shards_of.setdefault(server, grievance.shard) != grievance.shard:
                shared.add(server)
    return shared


def _with_server(grievance: Grievance, fixed: Mapping[str, Signature]) -> Grievance:
    server = next((server for server in grievance.contact.servers if server in fixed), "")
    return replace(grievance, signature=fixed[server]) if server else grievance


def _chosen(shards_of: dict[str, set[str]], count: int) -> set[str]:
    """The servers on ports that somebody chose: well-known ones, those that two shards share, low ones unless they are many."""
    is_scattered = len(shards_of) >= MANY_PORTS and len(shards_of) * 3 > count
    return {
        server
        for server, shards in shards_of.items()
        if _has_name(server)
        or port_of(server) in KNOWN_PORTS
        or len(shards) > 1
        or (port_of(server) < FIRST_EPHEMERAL_PORT and not is_scattered)
    }


def _has_name(server: str) -> bool:
    """Whether its host has a name of its own, which is no number that somebody drew."""
    host = server.rpartition(":")[0]
    return bool(host) and "<" not in host


def _steady(server: str, signature: Signature) -> str:
    """Without a port that was handed out, or that nobody has come to: a host by its name is then all that is known of it."""
    host = server.rpartition(":")[0]
    is_ports = port_of(server) >= FIRST_EPHEMERAL_PORT or signature.type_name == UNRESOLVED
    return host if is_ports and _has_name(server) else server
