"""A Redis of our own: started, proved to be ours, killed and restarted on its port, stopped."""

import functools
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ci_tools.errors import ConfigError
from ci_tools.host import ports
from ci_tools.model.service import Endpoint, Provenance, Provider, ServiceKind, ServiceSpec
from ci_tools.services import container, lifeline, resp
from ci_tools.services.discovery import Binary, discover_redis
from ci_tools.services.home import new_home
from ci_tools.services.launch import Launch, cannot_start, launch
from ci_tools.services.server import Server

if TYPE_CHECKING:
    from ci_tools.host.process import GuardedProcess

DEFAULT_PORT = 6381
DATABASES = 1024
URL_VARIABLE = "REDIS_URL"

_ENGINE_GRACE_S = 5.0
_PROBE_TIMEOUT_S = 1.0
_MEMORY_BYTES = 16 << 20  # a home without persistence holds some kilobytes; options may ask for more
_HAS_UNIX_SOCKETS = sys.platform != "win32"
_SETTINGS = {"save": '""', "appendonly": "no", "databases": str(DATABASES)}
_OURS = frozenset({"port", "bind", "requirepass", "dir", "daemonize", "logfile", "unixsocket", "unixsocketperm", "include"})
_TAKEN_PORT = ("Address already in use", "Failed listening on port", "bind: ")


class RedisServer(Server):
    """A Redis or Valkey. ``kill`` is a crash without a word to its clients."""

    def __init__(
        self, spec: ServiceSpec, binary: Binary, *, log: Path | None, tried: Iterable[str] = (), port: int | None = None
    ) -> None:
        _check_options(spec)
        super().__init__(spec, log=log, tried=tried, port=port)
        self._binary = binary

    def _start_on(self, reservation: ports.Reservation) -> "tuple[GuardedProcess, Endpoint]":
        began = time.perf_counter()
        is_contained = self._binary.provider is Provider.CONTAINER
        if is_contained:
            container.demand_image(self._binary.path, self._spec.image or container.IMAGES[ServiceKind.REDIS], os.environ)
        socket_path = ""
        try:
            home = new_home(in_memory_with_bytes=None if self._spec.options else _MEMORY_BYTES)
            if _HAS_UNIX_SOCKETS and not is_contained:
                socket_path = str(home / "redis.sock")
            self._write_config(home, reservation.port, socket_path)
        except OSError as error:
            raise cannot_start("redis", error, str(self._binary.path)) from error
        if is_contained:
            reservation.release()  # the engine binds as programs do that share no address
        plan = self._contained_plan(home, reservation.port) if is_contained else self._plan(home, reservation.port)
        probe = functools.partial(self._probe, reservation.port, socket_path)
        launched = launch(plan, probe, stopping=self._stopping, began=began)
        version = version_of(launched.answer)
        self._demand_version(launched, self._binary.path, version)
        provenance = Provenance(
            kind=ServiceKind.REDIS,
            provider=self._binary.provider,
            version=version,
            reason="; ".join((self._binary.reason, *self._tried)),
            path=str(self._binary.path),
            sha256="" if is_contained else launched.sha256,
            host=ports.LOOPBACK,
            port=reservation.port,
            pid=launched.process.pid,
            start_ms=launched.start_ms,
        )
        return launched.process, redis_endpoint(self._spec, provenance, password=self._password, socket_path=socket_path)

    @property
    def _grace_s(self) -> float:
        """Nothing of a server's state is kept; only a container's has an engine that must be told."""
        return _ENGINE_GRACE_S if self._binary.provider is Provider.CONTAINER else 0

    def _plan(self, home: Path, port: int) -> Launch:
        return Launch(
            name="redis",
            argv=(str(self._binary.path), "redis.conf"),
            home=home,
            log=self._log,
            where=f"{ports.LOOPBACK}:{port}",
            timeout_s=self._spec.start_timeout_s,
            end_signal="KILL",
            taken_port=_TAKEN_PORT,
            tried=self._tried,
        )

    def _contained_plan(self, home: Path, port: int) -> Launch:
        """The server's port inside is the image's own, and its log is the client's output."""
        image = self._spec.image or container.IMAGES[ServiceKind.REDIS]
        settings = {"requirepass": self._password, "dir": "/tmp", **_SETTINGS, **self._spec.options}  # noqa: S108 - the container's
        arguments = container.run_arguments(ServiceKind.REDIS, image, port=port, name=home.name, settings={})
        return replace(
            self._plan(home, port),
            argv=lifeline.command(self._binary.path, arguments),
            env={**os.environ, **container.redis_environment(settings)},
            end_signal="TERM",
            taken_port=container.TAKEN_PORT,
        )

    def _probe(self, port: int, socket_path: str) -> Mapping[str, str]:
        """What the server says of itself once it is ready.

        The unix socket lies in a folder that only this start knows, and a server opens it after it has bound its port:
        who answers there is ours and has the port, so no stranger on that port is ever sent a byte.
        """
        if socket_path:
            os.stat(socket_path)  # noqa: PTH116 - asked a thousand times a second: a tenth of what a connection costs
            connection = resp.connect_unix(socket_path, _PROBE_TIMEOUT_S)
        else:
            connection = resp.connect_tcp(ports.LOOPBACK, port, _PROBE_TIMEOUT_S)
        with connection:
            try:
                connection.ask("AUTH", self._password)
                connection.ask("PING")
                return connection.info("server")
            except resp.RespError as error:
                raise OSError(str(error)) from error

    def _write_config(self, home: Path, port: int, socket_path: str) -> None:
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
        try:
            path = home / "redis.conf"
            path.touch(mode=0o600)
            path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
        except OSError:
            shutil.rmtree(home, ignore_errors=True)
            raise


def start_redis(spec: ServiceSpec, *, environ: Mapping[str, str], folder: Path | None, name: str = "redis") -> RedisServer:
    """A started server of the caller's own, on any free port, to be killed and restarted; its log is ``folder/name.log``."""
    tried: list[str] = []
    binary = discover_redis(spec, environ=environ, tried=tried)
    server = RedisServer(spec, binary, log=folder / f"{name}.log" if folder else None, tried=tried)
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
        environment={spec.url_variable or URL_VARIABLE: url},
    )


def version_of(info: Mapping[str, str]) -> str:
    """The server's own version: Valkey's, where ``redis_version`` says what it is compatible with."""
    return info.get("valkey_version") or info.get("redis_version", "")


def _check_options(spec: ServiceSpec) -> None:
    for name, value in spec.options.items():
        if name.lower() in _OURS:
            raise ConfigError(
                f"option {name!r} of redis is set by ci-tools itself", hint=f"remove {name!r} from the service's options"
            )
        if "\n" in f"{name}{value}" or not name.strip():
            raise ConfigError(f"option {name!r} of redis spans lines", hint="one option is one line of redis.conf")
