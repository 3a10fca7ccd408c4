"""What the kernel has counted on this process's own TCP connections, whoever opened them: Python, uvloop or a C library."""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Mapping

_TCP_INFO = getattr(socket, "TCP_INFO", None)
_BYTES_ACKED = 120
"""Where ``tcpi_bytes_acked`` and, after it, ``tcpi_bytes_received`` stand in Linux's ``struct tcp_info`` (since 4.2)."""
_WANTED = _BYTES_ACKED + 16


def tcp_bytes(host: str, port: int) -> Mapping[int, int]:
    """Bytes sent and received on each living connection to ``host:port``, by the socket's inode; empty but on Linux.

    A connection that was closed has taken its counters with it.
    """
    if sys.platform != "linux" or _TCP_INFO is None:
        return {}
    found: dict[int, int] = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as below
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - runs around each test that declares a service
            if target.startswith("socket:[") and (count := _bytes_of(int(name), host, port)) is not None:
                found[int(target[8:-1])] = count
    return found


def _bytes_of(descriptor: int, host: str, port: int) -> int | None:
    copy = os.dup(descriptor)
    try:
        one = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with one:
        if one.type is not socket.SOCK_STREAM or one.family not in {socket.AF_INET, socket.AF_INET6}:
            return None
        peer = one.getpeername()
        if peer[1] != port or peer[0].removeprefix("::ffff:") not in {host, "127.0.0.1", "::1"}:
            return None
        info = one.getsockopt(socket.IPPROTO_TCP, _TCP_INFO or 0, 256)
        if len(info) < _WANTED:
            return None
        sent, received = struct.unpack_from("=QQ", info, _BYTES_ACKED)
        return max(int(sent) + int(received) - 1, 0)  # the handshake counts as a byte
