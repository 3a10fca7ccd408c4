"""What a test leaves on its own PostgreSQL database: open transactions, advisory locks, LISTEN, changed settings."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ci_tools.model.service import Endpoint
from ci_tools.pytest_plugin.leaks.traces import LOCK, SETTING, SUBSCRIPTION, TRANSACTION, Trace

if TYPE_CHECKING:
    from ci_tools.services.pgwire import PostgresConnection

_TIMEOUT_S = 2.0
_MAINTENANCE_DATABASE = "postgres"
_LONGEST_STATEMENT = 80
_ONE_KEY = "1"
"""``objsubid`` of an advisory lock whose key is one number of 64 bits; 2 where it is two of 32."""


class PostgresProbe:
    """Asks one server about one database. ``is_alone``: the server is nobody else's, so its own settings are ours too."""

    def __init__(self, endpoint: Endpoint, *, is_alone: bool) -> None:
        self._endpoint = endpoint
        self._is_alone = is_alone
        self._connection: PostgresConnection | None = None
        self._settings: dict[str, str] | None = None
        self._question = ""

    def look(self) -> Mapping[str, Trace] | None:
        """All traces; None when the server does not answer, or not to us."""
        from ci_tools.services.pgwire import PostgresError  # noqa: PLC0415 - only where a test declares postgres

        try:
            connection = self._connection = self._connection or self._connect()
            rows = connection.query(self._question)
        except (OSError, PostgresError):
            self.close()
            return None
        found: dict[str, Trace] = {}
        settings: dict[str, str] = {}
        for row in rows:
            sort, pid, port, state, detail, text = (value or "" for value in row)
            if sort == "session":
                key, trace = self._of_session(pid, port, state, detail, text)
                found[key] = trace
            elif sort == "lock":
                found[f"lock {pid} {detail}"] = Trace(
                    kind=LOCK,
                    what=f"session {pid} of postgres still holds the advisory lock {_lock_key(detail)} ({state})",
                    take=partial(self._unlock, pid, detail),
                    port=int(port or 0),
                    session=int(pid),
                )
            elif sort == "file":
                settings.update(_of_file(text))
            else:
                name, _, value = text.partition("=")
                settings[f"{state} {name}"] = value
        if self._settings is None:
            self._settings = settings
        elif settings != self._settings:
            found.update(self._of_settings(self._settings, settings))
        return found

    def accept(self) -> None:
        """Take the settings as they will be read next for granted."""
        self._settings = None

    def close(self) -> None:
        """Close our connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._settings = None

    def _of_session(self, pid: str, port: str, state: str, begun: str, statement: str) -> tuple[str, Trace]:
        last = f"last statement: {' '.join(statement.split())}"
        is_idle = state == "idle"
        kind = SUBSCRIPTION if is_idle else TRANSACTION
        how = "still listens" if is_idle else f"is {state}"
        trace = Trace(
            kind=kind,
            what=f"session {pid} of postgres {how} ({last})",
            take=partial(self._end_session, pid),
            port=int(port or 0),
            session=int(pid),
        )
        return f"session {pid} {kind} {begun}", trace

    def _of_settings(self, was: Mapping[str, str], now: Mapping[str, str]) -> dict[str, Trace]:
        return {
            f"setting {name}={now.get(name)}": Trace(
                kind=SETTING,
                what=f"postgres' setting {name} was {was.get(name, 'not set')!r} and is now {now.get(name, 'not set')!r}",
                take=partial(self._set_back, name, was.get(name)),
            )
            for name in sorted({*was, *now})
            if was.get(name) != now.get(name)
        }

    def _connect(self) -> "PostgresConnection":
        from ci_tools.services import databases, pgwire  # noqa: PLC0415 - as above

        target = databases.target_of(self._endpoint, timeout_s=_TIMEOUT_S, session="ci-tools leaks")
        # Not to the test's own database: it may be dropped, or copied, which a session of ours would forbid.
        connection = pgwire.connect(replace(target, database=_MAINTENANCE_DATABASE))
        name = pgwire.quote_text(self._endpoint.database)
        mine = f"(SELECT oid FROM pg_database WHERE datname = {name})"  # noqa: S608 - the name is quoted
        self._question = (
            "SELECT 'session', pid::text, client_port::text, state, coalesce(xact_start::text, ''),"  # noqa: S608 - as above
            f" left(query, {_LONGEST_STATEMENT}) FROM pg_stat_activity"
            f" WHERE datname = {name} AND backend_type = 'client backend'"
            r" AND (state LIKE 'idle in transaction%' OR (state = 'idle' AND query ~* '^\s*listen\M'))"
            " UNION ALL SELECT 'lock', pid::text, client_port::text, mode,"
            " classid::text || ',' || objid::text || ',' || objsubid::text, ''"
            f" FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND database = {mine}"
            " UNION ALL SELECT 'setting', '', '', CASE WHEN setrole = 0 THEN 'DATABASE' ELSE 'ROLE' END, '', unnest(setconfig)"
            f" FROM pg_db_role_setting WHERE setdatabase = {mine}"
        )
        if self._is_alone and connection.value("SHOW is_superuser") == "on":
            self._question += " UNION ALL SELECT 'file', '', '', '', '', pg_read_file('postgresql.auto.conf', 0, 100000, true)"
        return connection

    def _end_session(self, pid: str, kept: object) -> str:
        if kept is not None:
            return _by_itself(kept, lambda connection: connection.rollback())
        return self._ask(f"SELECT pg_terminate_backend({int(pid)})")

    def _unlock(self, pid: str, detail: str, kept: object) -> str:
        if kept is not None:
            statement = f"SELECT pg_advisory_unlock({_lock_key(detail)})"
            return _by_itself(kept, lambda connection: connection.execute(statement))
        return self._ask(f"SELECT pg_terminate_backend({int(pid)})")

    def _set_back(self, name: str, value: str | None, _: object) -> str:
        from ci_tools.services.pgwire import quote_name, quote_text  # noqa: PLC0415 - as above

        where, _, setting = name.rpartition(" ")
        what = f"RESET {quote_name(setting)}" if value is None else f"SET {quote_name(setting)} = {quote_text(value)}"
        if where == "SYSTEM":
            return self._ask(f"ALTER SYSTEM {what}") or self._ask("SELECT pg_reload_conf()")
        if where == "DATABASE":
            return self._ask(f"ALTER DATABASE {quote_name(self._endpoint.database)} {what}")
        return "it could not be put back: it is a role's"

    def _ask(self, statement: str) -> str:
        from ci_tools.services.pgwire import PostgresError  # noqa: PLC0415 - as above

        if self._connection is None:
            return "it could not be put back: the server is gone"
        try:
            self._connection.query(statement)
        except (OSError, PostgresError) as error:
            return f"it could not be put back: {error}"
        return ""


def _by_itself(kept: Any, end: Callable[[Any], object]) -> str:  # noqa: ANN401 - a client's connection
    """Through its own connection, where that can be asked here and now: its fixture lives on and needs it."""
    if type(kept).__module__.startswith("psycopg") and type(kept).__name__ == "Connection":
        try:
            end(kept)
        except Exception as error:  # noqa: BLE001 - whatever the client raises
            return f"it could not be put back: {error}"
        return ""
    return "it could not be put back: its connection is a living fixture's or module's"


def _lock_key(detail: str) -> str:
    """An advisory lock's key as it was given: one number, or two."""
    high, low, sort = detail.split(",")
    return str((int(high) << 32) + int(low)) if sort == _ONE_KEY else f"{high}, {low}"


def _of_file(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {f"SYSTEM {name.strip()}": value.strip().strip("'").replace("''", "'") for name, _, value in pairs}
