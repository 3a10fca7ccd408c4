"""A Redis of our own: started, proved to be ours, killed and restarted on its port, stopped."""

import functools
import hashlib
import secrets
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from ci_tools.errors import ConfigError, ServiceError
from ci_tools.host import ports
from ci_tools.host.process import GuardedProcess, start
from ci_tools.model.service import Endpoint, Provenance, ServiceKind, ServiceSpec
from ci_tools.services import readiness, resp
from ci_tools.services.discovery import Binary, discover_redis, fits
from ci_tools.services.home import new_home

DEFAULT_PORT = 6381
DATABASES = 1024
URL_VARIABLE = "REDIS_URL"

_PROBE_TIMEOUT_S = 1.0
_HAS_UNIX_SOCKETS = sys.platform != "win32"
_SETTINGS = {"save": '""', "appendonly": "no", "databases": str(DATABASES)}
_OURS = frozenset({"port", "bind", "requirepass", "dir", "daemonize", "logfile", "unixsocket", "unixsocketperm", "include"})
_TAKEN_PORT = ("Address already in use", "Failed listening on port", "bind: ")


class _PortTakenError(Exception):
    """Somebody bound the port between our look and the server's."""


class RedisServer:
    """A server under a guard. Its URL, password and port stay the same over ``kill`` and ``restart``."""

    def __init__(
        self, spec: ServiceSpec, binary: Binary, *, log: Path, tried: Iterable[str] = (), port: int | None = None
    ) -> None:
        _check_options(spec)
        self._spec = spec
        self._binary = binary
        self._log = log
        self._tried = tuple(tried)
        self._preferred_port = port
        self._password = secrets.token_urlsafe(24)
        self._process: GuardedProcess | None = None
        self._held: ports.Reservation | None = None
        self._endpoint: Endpoint | None = None

    def __enter__(self) -> Self:
        if self._process is None:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers, as of the last start. ServiceError before the first one."""
        if self._endpoint is None:
            raise ServiceError("this Redis was never started", hint="call start() first")
        return self._endpoint

    @property
    def url(self) -> str:
        """The URL with its password, database 0."""
        return self.endpoint.url

    def start(self) -> Endpoint:
        """Start on the preferred port, or on another when a stranger has it. ServiceError when it is not ready in time."""
        for reservation in ports.reservations(self._preferred_port, self._spec.port_range):
            with reservation:
                try:
                    return self._start_on(reservation)
                except _PortTakenError:
                    continue
        asked = f"{self._spec.port_range[0]}-{self._spec.port_range[1]}" if self._spec.port_range else "any"
        raise ServiceError(
            f"no port for Redis on {ports.LOOPBACK}: all of {asked} are taken",
            hint="widen `port_range` of the service, or end the programs that hold these ports",
        )

    def kill(self) -> None:
        """End the server as a crash would: at once, without a word to its clients. The port stays ours, and refuses."""
        if self._process is not None:
            self._process.end(0)
            self._process = None
            self._held = ports.reserve(self.endpoint.port)

    def restart(self) -> Endpoint:
        """Kill it if it runs, and start it anew, empty, on the same port with the same password."""
        port = self.endpoint.port
        self.kill()
        held, self._held = self._held or ports.reserve(port), None
        if held is None:
            raise ServiceError(f"port {port} was taken while Redis was down", hint="restart sooner, or start a new server")
        with held:
            try:
                return self._start_on(held)
            except _PortTakenError as error:
                raise ServiceError(f"port {port} was taken while Redis was down", hint="start a new server") from error

    def stop(self) -> None:
        """End the server and remove its folder; twice is the same as once. Its state is ours, so nothing is saved."""
        if self._held is not None:
            self._held.release()
            self._held = None
        if self._process is not None:
            self._process.end(0)
            self._process = None

    def _start_on(self, reservation: ports.Reservation) -> Endpoint:
        began = time.perf_counter()
        home = new_home()
        socket_path = str(home / "redis.sock") if _HAS_UNIX_SOCKETS else ""
        self._write_config(home / "redis.conf", reservation.port, socket_path)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        log_start = self._log.stat().st_size if self._log.exists() else 0
        process = start(
            [str(self._binary.path), "redis.conf"],
            env={"LC_ALL": "C"},
            cwd=home,
            output=self._log,
            end_signal="KILL",
            cleanup=(home,),
        )
        try:
            sha256 = _sha256(self._binary.path)  # while the server starts
            info = readiness.wait_ready(
                process, lambda: self._probe(reservation.port, socket_path), timeout_s=self._spec.start_timeout_s
            )
            version = version_of(info)
            _demand_version(self._binary.path, version, self._spec)
        except readiness.EndedEarlyError as error:
            process.end(0)
            if any(sign in _text_from(self._log, log_start) for sign in _TAKEN_PORT):
                raise _PortTakenError from error
            raise self._not_ready(
                f"ended before it was ready on {ports.LOOPBACK}:{reservation.port}", process, error.returncode
            ) from error
        except readiness.NotReadyError as error:
            process.end(0)
            what = f"did not answer on {ports.LOOPBACK}:{reservation.port} within {self._spec.start_timeout_s:g} s"
            raise self._not_ready(f"{what} (last: {readiness.explain(error.__cause__)})", process, None) from error
        except BaseException:
            process.end(0)
            raise
        self._process = process
        provenance = Provenance(
            kind=ServiceKind.REDIS,
            provider=self._binary.provider,
            version=version,
            reason="; ".join((self._binary.reason, *self._tried)),
            path=str(self._binary.path),
            sha256=sha256,
            host=ports.LOOPBACK,
            port=reservation.port,
            pid=process.pid,
            start_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        self._endpoint = redis_endpoint(self._spec, provenance, password=self._password, socket_path=socket_path)
        return self._endpoint

    def _probe(self, port: int, socket_path: str) -> Mapping[str, str]:
        """What the server says of itself once it is ready.

        The unix socket lies in a folder that only this start knows, and a server opens it after it has bound its port:
        who answers there is ours and has the port, so no stranger on that port is ever sent a byte.
        """
        connection = (
            resp.connect_unix(socket_path, _PROBE_TIMEOUT_S)
            if socket_path
            else resp.connect_tcp(ports.LOOPBACK, port, _PROBE_TIMEOUT_S)
        )
        with connection:
            try:
                connection.ask("AUTH", self._password)
                connection.ask("PING")
                return connection.info("server")
            except resp.RespError as error:
                raise OSError(str(error)) from error

    def _write_config(self, path: Path, port: int, socket_path: str) -> None:
        """The password stands in a private file: an argument would be seen in every list of processes."""
        settings = {
            "port": str(port),
            "bind": ports.LOOPBACK,
            "requirepass": self._password,
            "daemonize": "no",
            "logfile": '""',
            "dir": "./",
            **_SETTINGS,
            **self._spec.options,
        }
        if socket_path:
            settings |= {"unixsocket": "redis.sock", "unixsocketperm": "700"}
        path.touch(mode=0o600)
        path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")

    def _not_ready(self, what: str, process: GuardedProcess, returncode: int | None) -> ServiceError:
        return readiness.not_ready(
            f"redis {what}",
            command=process.argv,
            pid=process.pid,
            returncode=returncode,
            log=self._log,
            tried=self._tried,
            hint="`ci-tools services up redis --foreground` shows the whole log",
        )


def start_redis(spec: ServiceSpec, *, environ: Mapping[str, str], folder: Path, name: str = "redis") -> RedisServer:
    """A started server of the caller's own, on any free port, to be killed and restarted. Its log is ``folder/name.log``."""
    tried: list[str] = []
    binary = discover_redis(spec, environ=environ, tried=tried)
    server = RedisServer(spec, binary, log=folder / f"{name}.log", tried=tried)
    server.start()
    return server


def redis_endpoint(
    spec: ServiceSpec, provenance: Provenance, *, password: str, socket_path: str = "", database: int = 0
) -> Endpoint:
    """The endpoint of a database of a server of ours."""
    where = f"{provenance.host}:{provenance.port}/{database}"
    url = f"redis://:{password}@{where}"
    return Endpoint(
        kind=ServiceKind.REDIS,
        url=url,
        masked_url=f"redis://:***@{where}",
        host=provenance.host,
        port=provenance.port,
        provenance=provenance,
        password=password,
        database=str(database),
        socket_path=socket_path,
        environment={URL_VARIABLE: url, **({spec.url_variable: url} if spec.url_variable else {})},
    )


def version_of(info: Mapping[str, str]) -> str:
    """The server's own version: Valkey's, where ``redis_version`` says what it is compatible with."""
    return info.get("valkey_version") or info.get("redis_version", "")


def _demand_version(path: Path, version: str, spec: ServiceSpec) -> None:
    if not fits(version, spec.version):
        raise ServiceError(
            f"{path} is version {version}, wanted {spec.version}", hint="widen `version` of the service, or install one that fits"
        )


def _check_options(spec: ServiceSpec) -> None:
    for name, value in spec.options.items():
        if name.lower() in _OURS:
            raise ConfigError(
                f"option {name!r} of redis is set by ci-tools itself", hint=f"remove {name!r} from the service's options"
            )
        if "\n" in f"{name}{value}" or not name.strip():
            raise ConfigError(f"option {name!r} of redis spans lines", hint="one option is one line of redis.conf")


@functools.lru_cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_from(log: Path, position: int) -> str:
    with log.open("rb") as file:
        file.seek(position)
        return file.read().decode(errors="replace")
