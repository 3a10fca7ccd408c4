"""Meters: what a service's own server has counted, whoever asked and with whatever client: sync, async or in C.

A meter keeps a connection of its own and takes off what it caused itself, so that a test that does nothing measures zero.
"""

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from ci_tools.model.case import Phase
from ci_tools.model.service import Endpoint, ServiceKind
from ci_tools.pytest_plugin.kernel import tcp_bytes

if TYPE_CHECKING:
    from ci_tools.services.pgwire import PostgresConnection
    from ci_tools.services.resp import RespConnection

TIMEOUT_S = 2.0
UNITS = {"redis": "commands", "postgres": "statements", "http": "requests", "websocket": "frames", "process": "starts"}
"""What proves that a test touched the service, by the name in its mark; a name that is not here is not measured."""

_INFO = ("INFO", "stats")
_COUNTERS = re.compile(r"^(total_\w+):(\d+)", re.MULTILINE)
_ATTEMPTS = 2
"""The test may have killed our connection along with all others."""


class Meter(Protocol):
    """Counts what one server does for this process."""

    def begin(self) -> bool:
        """What comes now is counted; False when the server cannot be asked."""

    def measure(self) -> Mapping[str, int] | None:
        """What has been counted since the last ``begin`` or ``measure``, by unit; None when the server cannot be asked."""

    def is_blind(self, phase: Phase) -> bool:
        """Whether the service may have been touched in the phase that was measured last, and nothing here would show it."""

    def close(self) -> None:
        """Close our connection."""


def meter_of(endpoint: Endpoint) -> Meter:
    """The meter of an endpoint whose server (Redis) or database (Postgres) only this process uses."""
    return RedisMeter(endpoint) if endpoint.kind is ServiceKind.REDIS else PostgresMeter(endpoint)


class RedisMeter:
    """Commands, connections and bytes, exact: the counters of INFO without our own questions."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: RespConnection | None = None
        self._own = {"commands": 0, "connections": 0, "bytes": 0}
        self._before: Mapping[str, int] | None = None

    def begin(self) -> bool:
        """Read the counters; unless they have just been read, which the caller knows."""
        self._before = self._read()
        return self._before is not None

    def measure(self) -> Mapping[str, int] | None:
        """The counters' growth; a server that was restarted counts from zero, and so do we."""
        before, self._before = self._before, self._read()
        after = self._before
        if before is None or after is None:
            return None
        if after["commands"] < before["commands"]:
            return {unit: max(count, 0) for unit, count in after.items()}
        return {unit: max(count - before[unit], 0) for unit, count in after.items()}

    def is_blind(self, phase: Phase) -> bool:
        """Never: the server sees whoever asks."""
        return False

    def close(self) -> None:
        """Close our connection."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.__exit__(None, None, None)
            self._connection = None

    def _read(self) -> Mapping[str, int] | None:
        from ci_tools.services.resp import RespError  # noqa: PLC0415 - only where a test declares redis

        for _ in range(_ATTEMPTS):
            try:
                connection = self._connection or self._connect()
                self._own["bytes"] += _asked(*_INFO)  # it is read before it is answered
                text = connection.ask(*_INFO)
                told = dict(_COUNTERS.findall(text))
                counted = {
                    "commands": int(told["total_commands_processed"]) - self._own["commands"],
                    "connections": int(told["total_connections_received"]) - self._own["connections"],
                    "bytes": int(told["total_net_input_bytes"]) + int(told["total_net_output_bytes"]) - self._own["bytes"],
                }
            except (OSError, RespError, KeyError, ValueError):
                self.close()
                continue
            # The counters do not hold the question that they answer, nor the answer itself.
            self._own["commands"] += 1
            self._own["bytes"] += len(f"${len(text)}\r\n") + len(text) + 2
            return counted
        return None

    def _connect(self) -> "RespConnection":
        from ci_tools.services import resp  # noqa: PLC0415 - as above

        endpoint = self._endpoint
        connection = resp.connect_to(endpoint, TIMEOUT_S)
        self._own["connections"] += 1
        self._connection = connection
        if endpoint.password:
            words = ("AUTH", *([endpoint.username] if endpoint.username else []), endpoint.password)
            connection.ask(*words)
            self._own["commands"] += 1
            self._own["bytes"] += _asked(*words) + len("+OK\r\n")
        return connection


class PostgresMeter:
    """Statements and connections as PostgreSQL knows them of this worker's database, bytes as the kernel does.

    A server of ours counts statements exactly (``pg_stat_statements``). On another's a zero is exact and a number is the
    least that there was: a session's counters reach the statistics at most once a second, or when it ends. So of sessions
    that live on it is asked whether they have begun a statement, and of those that have ended how many transactions they made.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._connection: PostgresConnection | None = None
        self._before: _Sessions | None = None
        self._bytes: Mapping[int, int] = {}
        self._has_counter = False
        self._own: frozenset[int] = frozenset()

    def begin(self) -> bool:
        """Look at the sessions that there are."""
        self._before = self._read()
        self._bytes = self._passed()
        return self._before is not None

    def measure(self) -> Mapping[str, int] | None:
        """Compare them with those of before."""
        before, self._before = self._before, self._read()
        known, self._bytes = self._bytes, self._passed()
        after = self._before
        if before is None or after is None:
            return None
        counts = {"statements": after.statements_since(before), "connections": after.opened_since(before)}
        passed = sum(max(count - known.get(inode, 0), 0) for inode, count in self._bytes.items())
        # A connection that was closed has taken its bytes with it: no number is better than a wrong zero.
        return counts if not passed and any(counts.values()) else {**counts, "bytes": passed}

    def is_blind(self, phase: Phase) -> bool:
        """Never: the server sees whoever asks."""
        return False

    def close(self) -> None:
        """Close our connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _read(self) -> "_Sessions | None":
        from ci_tools.services.pgwire import PostgresError  # noqa: PLC0415 - only where a test declares postgres

        for _ in range(_ATTEMPTS):
            try:
                connection = self._connection or self._connect()
                rows = connection.query(self._question(connection.parameters["server_version"]))
            except (OSError, PostgresError, KeyError, ValueError):
                self.close()
                continue
            begun = {str(pid): begun for kind, pid, begun in rows if kind == "session"}
            counts = {str(kind): (int(first or 0), int(second or 0)) for kind, first, second in rows if kind != "session"}
            transactions, sessions = counts.get("database", (0, 0))
            statements = counts["statements"][0] if "statements" in counts else None
            return _Sessions(statements=statements, transactions=transactions, sessions=sessions, begun=begun)
        return None

    def _connect(self) -> "PostgresConnection":
        from ci_tools.services import databases, pgwire  # noqa: PLC0415 - as above

        others = tcp_bytes(self._endpoint.host, self._endpoint.port).keys()
        target = databases.target_of(self._endpoint, timeout_s=TIMEOUT_S, session="ci-tools evidence")
        try:
            # The test may drop its own database, or copy it, which a session of ours would forbid.
            self._connection = connection = pgwire.connect(replace(target, database=_MAINTENANCE_DATABASE))
            if not self._has_counter and _COUNTER in connection.value("SHOW shared_preload_libraries"):
                connection.query(f"CREATE EXTENSION IF NOT EXISTS {_COUNTER}")
                self._has_counter = True
        except pgwire.PostgresError:  # no such database, or no right to it
            self._connection = connection = pgwire.connect(target)
        self._own = frozenset(tcp_bytes(self._endpoint.host, self._endpoint.port).keys() - others)
        return connection

    def _passed(self) -> Mapping[int, int]:
        """Bytes by living connection, without our own."""
        found = tcp_bytes(self._endpoint.host, self._endpoint.port)
        return {inode: count for inode, count in found.items() if inode not in self._own}

    def _question(self, version: str) -> str:
        from ci_tools.services.pgwire import quote_text  # noqa: PLC0415 - as above

        name = quote_text(self._endpoint.database)
        sessions = "sessions" if int(version.partition(".")[0].partition(" ")[0]) >= _COUNTS_SESSIONS else "0"
        counter = (
            f" UNION ALL SELECT 'statements', coalesce(sum(calls), 0)::text, '0' FROM {_COUNTER}(false)"  # noqa: S608 - the name is quoted
            f" WHERE dbid = (SELECT oid FROM pg_database WHERE datname = {name})"
            if self._has_counter
            else ""
        )
        return (
            f"SELECT 'database', (xact_commit + xact_rollback)::text, ({sessions})::text"  # noqa: S608 - as above
            f" FROM pg_stat_database WHERE datname = {name}"
            " UNION ALL SELECT 'session', pid::text || '@' || backend_start::text, query_start::text"
            f" FROM pg_stat_activity WHERE datname = {name} AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            f"{counter}"
        )


_COUNTER = "pg_stat_statements"
_MAINTENANCE_DATABASE = "postgres"
_COUNTS_SESSIONS = 14
"""The PostgreSQL from which on ``pg_stat_database`` counts sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sessions:
    """The sessions of one database at one moment: living ones by process and start, with their latest statement's start."""

    statements: int | None
    """Where the server counts them."""
    transactions: int
    sessions: int
    begun: Mapping[str, str | None]

    def statements_since(self, before: "_Sessions") -> int:
        if self.statements is not None and before.statements is not None:
            is_growing = self.statements >= before.statements  # or the database was made anew, or somebody has reset it
            return self.statements - before.statements if is_growing else self.statements
        moved = sum(begun is not None and begun != before.begun.get(session) for session, begun in self.begun.items())
        opened = self.sessions - before.sessions
        if self.transactions < before.transactions:  # the database was dropped and made again
            return max(self.transactions - self.sessions, 0) + moved
        if opened <= 0 and before.begun.keys() <= self.begun.keys():
            return moved  # nobody has come or gone: what the counters grew by is what earlier tests had done
        signed_in = max(opened, 0)  # signing in is a transaction too
        return max(self.transactions - before.transactions - signed_in, 0, moved)

    def opened_since(self, before: "_Sessions") -> int:
        new = len(self.begun.keys() - before.begun.keys())
        return max(self.sessions - before.sessions, new, 0)


def _asked(*words: str) -> int:
    """The bytes of a question in Redis' protocol."""
    encoded = [word.encode() for word in words]
    return len(f"*{len(encoded)}\r\n") + sum(len(f"${len(word)}\r\n") + len(word) + 2 for word in encoded)
