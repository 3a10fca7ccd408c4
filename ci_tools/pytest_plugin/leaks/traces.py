"""Traces: what a session has left open on a server, and whose session in this process it is."""

import contextlib
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ci_tools.pytest_plugin.leaks.opened import CONNECTION
from ci_tools.pytest_plugin.owners import Made, Owner
from ci_tools.pytest_plugin.ownership import Ownership

SETTING, KEY, TRANSACTION = "service_setting", "service_key", "service_transaction"
SUBSCRIPTION, LOCK = "service_subscription", "service_lock"
KINDS = (SETTING, KEY, TRANSACTION, SUBSCRIPTION, LOCK)

HINTS = {
    SETTING: "put it back in the fixture's tear-down, or take a server of the test's own (of Redis: the redis_server fixture)",
    KEY: "delete it in the tear-down, or give it an expiry",
    TRANSACTION: "commit it or roll it back: clients have a context manager for it",
    SUBSCRIPTION: "unsubscribe and close what listens in the tear-down",
    LOCK: "release it in the tear-down, or hold it with `with`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One thing that a server has and that must not outlive its test.

    ``port`` is the session's end in this process, -1 where it says nothing; ``take`` puts it back or ends its session and
    says what could not be done. ``take`` is given the connection's own object, where it is known and lives on.
    """

    kind: str
    what: str
    take: Callable[[Any], str]
    port: int = 0
    session: int = 0


class Probe(Protocol):
    """Asks one server what it has."""

    def look(self) -> Mapping[str, Trace] | None:
        """All traces by what identifies them; None when the server cannot be asked."""

    def accept(self) -> None:
        """Take the settings as they are now for granted."""

    def close(self) -> None:
        """Close our connection."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What in this process a session belongs to."""

    thing: Any
    made: Made
    owner: Owner


def connection_of(trace: Trace, ownership: Ownership) -> Connection | None:
    """The noted connection behind a trace; None where nobody noted it, or it was made by a test before."""
    for owner in (*ownership.over(), *ownership.fixtures.values()):
        for made in owner.made:
            if made.kind == CONNECTION and made.thing.ref is not None:
                thing = made.thing.ref()
                if thing is not None and _is_same(thing, made, trace):
                    return Connection(thing, made, owner)
    return None


def made_of(listener: object, ownership: Ownership) -> Connection | None:
    """Who began to listen, and where; None where nobody noted it."""
    for owner in (*ownership.over(), *ownership.fixtures.values()):
        for made in owner.made:
            if listener is not None and made.kind == SUBSCRIPTION and made.thing() is listener:
                return Connection(listener, made, owner)
    return None


def listener_of(port: int) -> object:
    """The PubSub object of redis-py, sync or async, that listens at this end; None where there is none."""
    for thing in gc.get_objects():
        if type(thing).__name__ == "PubSub" and type(thing).__module__.startswith("redis"):
            connection = getattr(thing, "connection", None)
            writer: Any = getattr(connection, "_writer", None)
            plain: Any = getattr(connection, "_sock", None)
            with contextlib.suppress(OSError, TypeError, IndexError, AttributeError):
                here = writer.get_extra_info("sockname") if writer is not None else plain.getsockname()
                if here[1] == port:
                    return thing
    return None


def is_of_this_process(trace: Trace) -> bool:
    """Whether its session is: what another process has open is that one's affair."""
    if trace.port <= 0:  # a setting, or a session that does not say: the server is this worker's own
        return True
    import psutil  # noqa: PLC0415 - only where something was left

    try:
        connections = psutil.Process().net_connections("tcp")
    except psutil.Error:
        return True
    return any(one.laddr and one.laddr.port == trace.port for one in connections)


def _is_same(thing: Any, made: Made, trace: Trace) -> bool:  # noqa: ANN401 - a socket, a transport or a client's connection
    if hasattr(thing, "pgconn"):
        with contextlib.suppress(Exception):  # a broken connection says nothing about itself
            return bool(trace.session) and thing.info.backend_pid == trace.session
        return False
    here, _ = made.thing.ends()
    return trace.port > 0 and here.endswith(f":{trace.port}")
