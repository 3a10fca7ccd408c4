"""A PostgreSQL of our own: started from a copied cluster, proved to be ours, with databases cloned from templates."""

import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools.errors import ConfigError, ServiceError
from ci_tools.host import ports
from ci_tools.model.service import Endpoint, Provenance, ServiceKind, ServiceSpec
from ci_tools.services import account, container, databases, lifeline, pgwire
from ci_tools.services.cluster import SUPERUSER, Prepared, counting, prepare
from ci_tools.services.home import new_home
from ci_tools.services.installation import Installation, discover_postgres, runnable
from ci_tools.services.launch import Launch, cannot_start, launch
from ci_tools.services.server import Server

if TYPE_CHECKING:
    from ci_tools.host.process import GuardedProcess

DEFAULT_PORT = 5433
"""Preferred when the spec names none: 5432 is where a developer's own server usually is."""

MAINTENANCE_DATABASE = "postgres"
STOP_GRACE_S = 5.0

_MEMORY_BYTES = 1 << 30
_HAS_UNIX_SOCKETS = sys.platform != "win32"
_TAKEN_PORT = ("could not create any TCP/IP sockets", "Address already in use")
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "shared_buffers": "32MB",  # every checkpoint, clone and drop looks through all of it
    "logging_collector": "off",
    # In the data folder and not in /dev/shm, where a killed server would leave it.
    "dynamic_shared_memory_type": "windows" if sys.platform == "win32" else "mmap",
}
_IO_METHOD_SINCE = 18
_FROM_18 = {"io_method": "sync"}  # three processes fewer, for reads that find everything in memory
_TRUST_IN_HOME = "local all all trust\n"
_PASSWORD_RULE = f"host all all {ports.LOOPBACK}/32 scram-sha-256\n"
_TRUST_UNTIL_PASSWORD_IS_SET = f"host all all {ports.LOOPBACK}/32 trust\n"
_OURS = frozenset(
    (
        *("port", "listen_addresses", "unix_socket_directories", "cluster_name"),
        *("data_directory", "hba_file", "config_file", "include"),
    )
)


class PostgresServer(Server):
    """A PostgreSQL. ``kill`` is its own immediate shutdown: SIGKILL would leave shared memory behind."""

    def __init__(
        self,
        spec: ServiceSpec,
        installation: Installation,
        *,
        log: Path | None,
        tried: Iterable[str] = (),
        port: int | None = None,
    ) -> None:
        _check_options(spec)
        super().__init__(spec, log=log, tried=tried, port=port)
        self._account = account.unprivileged()
        self._installation = installation
        self._verifier = ""

    @property
    def _grace_s(self) -> float:
        return STOP_GRACE_S

    def _start_on(self, reservation: ports.Reservation) -> "tuple[GuardedProcess, Endpoint]":
        began = time.perf_counter()
        port = reservation.port
        installation = self._installation
        home, prepared = self._new_home(port)
        if installation.engine is not None:
            reservation.release()  # the engine binds as programs do that share no address
        plan = self._plan(home, port) if installation.engine is None else self._contained_plan(home, port, installation.engine)
        launched = launch(
            plan,
            lambda: self._probe(home, port),
            stopping=self._stopping,
            began=began,
            meanwhile=lambda: self._complete(prepared),
        )
        version = launched.answer
        self._demand_version(launched, installation.engine or installation.postgres, version)
        provenance = Provenance(
            kind=ServiceKind.POSTGRES,
            provider=installation.provider,
            version=version,
            reason="; ".join((installation.reason, *self._tried)),
            path=str(installation.engine or installation.postgres),
            sha256=launched.sha256 if installation.engine is None else "",
            host=ports.LOOPBACK,
            port=port,
            pid=launched.process.pid,
            start_ms=launched.start_ms,
        )
        endpoint = databases.endpoint_of(
            provenance,
            user=SUPERUSER,
            password=self._password,
            database=MAINTENANCE_DATABASE,
            socket_path=self._socket_path(home, port),
            url_variable=self._spec.url_variable,
        )
        return launched.process, endpoint

    def _new_home(self, port: int) -> tuple[Path, Prepared | None]:
        """A home with a fresh cluster in it, configured for this start; a container has its own cluster inside."""
        if self._installation.engine is not None:
            container.demand_image(self._installation.engine, self._image, os.environ)
        home: Path | None = None
        try:
            if self._installation.engine is not None:
                return new_home(), None
            home = new_home(in_memory_with_bytes=_MEMORY_BYTES, account=self._account)
            data = home / "data"
            prepared = prepare(data, folder=self._installation.folder, account=self._account)
            self._configure(data, home, port)
        except BaseException as error:
            if home is not None:
                shutil.rmtree(home, ignore_errors=True)
            if isinstance(error, OSError):
                raise cannot_start("postgres", error, str(self._installation.postgres)) from error
            raise
        return home, prepared

    def _complete(self, prepared: Prepared | None) -> None:
        """What can be done while the server starts: the rest of its files, and what it is to keep of the password."""
        if prepared is not None:
            prepared.complete()
            self._verifier = pgwire.scram_verifier(self._password)

    def _configure(self, data: Path, home: Path, port: int) -> None:
        settings = {
            **_SETTINGS,
            **(_FROM_18 if int((data / "PG_VERSION").read_text().partition(".")[0]) >= _IO_METHOD_SINCE else {}),
            **counting(self._installation.folder),
            **self._spec.options,
            "port": str(port),
            "listen_addresses": ports.LOOPBACK,
            "cluster_name": home.name,
            "unix_socket_directories": str(home) if _HAS_UNIX_SOCKETS else "",
        }
        with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {pgwire.quote_text(value)}\n" for name, value in settings.items())
        # Who is in the home is us: it is closed to every other account. Over TCP the password of this start is wanted.
        rules = _TRUST_IN_HOME + _PASSWORD_RULE if _HAS_UNIX_SOCKETS else _TRUST_UNTIL_PASSWORD_IS_SET
        (data / "pg_hba.conf").write_text(rules, encoding="utf-8")

    def _plan(self, home: Path, port: int) -> Launch:
        return Launch(
            name="postgres",
            argv=(str(self._installation.postgres), "-D", "data"),
            home=home,
            log=self._log,
            where=f"{ports.LOOPBACK}:{port}",
            timeout_s=self._spec.start_timeout_s,
            end_signal="QUIT",
            taken_port=_TAKEN_PORT,
            tried=self._tried,
            account=self._account,
        )

    def _contained_plan(self, home: Path, port: int, engine: Path) -> Launch:
        """The server's log is the client's output."""
        settings = {**_SETTINGS, "dynamic_shared_memory_type": "posix", **self._spec.options}
        arguments = container.run_arguments(ServiceKind.POSTGRES, self._image, port=port, name=home.name, settings=settings)
        return replace(
            self._plan(home, port),
            argv=lifeline.command(engine, arguments),
            env={**os.environ, **container.postgres_environment(self._password)},
            end_signal="TERM",
            taken_port=container.TAKEN_PORT,
            account=None,
        )

    @property
    def _image(self) -> str:
        return self._spec.image or container.IMAGES[ServiceKind.POSTGRES]

    def _socket_path(self, home: Path, port: int) -> str:
        return str(home / f".s.PGSQL.{port}") if _HAS_UNIX_SOCKETS and self._installation.engine is None else ""

    def _probe(self, home: Path, port: int) -> str:
        """The server's version, once it is ready and its password is set.

        The unix socket lies in a folder that only this start knows, and a server opens it after it has bound its port:
        who answers there is ours and has the port, so no stranger on that port is ever sent a byte.
        """
        target = pgwire.Target(
            host=ports.LOOPBACK,
            port=port,
            user=SUPERUSER,
            password="" if self._installation.engine is None else self._password,
            database=MAINTENANCE_DATABASE,
            socket_path=self._socket_path(home, port),
        )
        if target.socket_path:
            os.stat(target.socket_path)  # noqa: PTH116 - asked a thousand times a second: a tenth of what a connection costs
        try:
            with pgwire.connect(target) as connection:
                if self._installation.engine is not None:  # it knew the password of this start
                    return connection.parameters["server_version"].split()[0]
                if connection.value("SHOW cluster_name") != home.name:
                    raise OSError(f"somebody else's server answers on port {port}")  # ours is about to say so in its log
                verifier = pgwire.quote_text(self._verifier)
                connection.query(f"ALTER ROLE {pgwire.quote_name(SUPERUSER)} PASSWORD {verifier}")
                if not _HAS_UNIX_SOCKETS:
                    (home / "data" / "pg_hba.conf").write_text(_PASSWORD_RULE, encoding="utf-8")
                    connection.query("SELECT pg_reload_conf()")
                return connection.parameters["server_version"].split()[0]
        except pgwire.PostgresError as error:
            if error.code == pgwire.STARTING_UP:
                raise OSError(str(error)) from error
            raise ServiceError(
                f"postgres on {ports.LOOPBACK}:{port} answered {error.code}: {error}",
                hint="`ci-tools services up postgres --foreground` shows its log",
            ) from error


def start_postgres(
    spec: ServiceSpec, *, environ: Mapping[str, str], folder: Path | None, name: str = "postgres"
) -> PostgresServer:
    """A started server of the caller's own, on any free port, to be killed and restarted; its log is ``folder/name.log``."""
    tried: list[str] = []
    installation = find_installation(spec, environ=environ, tried=tried)
    server = PostgresServer(spec, installation, log=folder / f"{name}.log" if folder else None, tried=tried)
    server.start()
    return server


def find_installation(spec: ServiceSpec, *, environ: Mapping[str, str], tried: list[str]) -> Installation:
    """The installation to start from, where the account it runs as may run it."""
    return runnable(discover_postgres(spec, environ=environ, tried=tried), account.unprivileged())


def _check_options(spec: ServiceSpec) -> None:
    for name, value in spec.options.items():
        if name.lower() in _OURS:
            raise ConfigError(
                f"option {name!r} of postgres is set by ci-tools itself", hint="remove it from the service's options"
            )
        if not name.replace(".", "_").isidentifier() or "\n" in value:
            raise ConfigError(f"option {name!r} of postgres is no setting", hint="one option is one line of postgresql.conf")
