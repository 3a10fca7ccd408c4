"""A door with TLS before a server that has none: its certificate is signed by nobody else."""

import contextlib
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where it is, and the certificate that whoever believes it must know."""

    port: int
    certificate: Path


@contextlib.contextmanager
def tls_door(behind: tuple[str, int], folder: Path, greet: Callable[[socket.socket], None] = lambda _: None) -> Iterator[Door]:
    """Pass on what comes in with TLS; ``greet`` is what is said in plain words before."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    argv = ["openssl", *words.split(), "-keyout", key, "-out", certificate]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stopping = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(0.05)

        def serve() -> None:
            while not stopping.is_set():
                with contextlib.suppress(OSError):
                    client, _ = door.accept()
                    client.settimeout(5)
                    threads.append(threading.Thread(target=_pass_on, args=(client, context, greet, behind, stopping)))
                    threads[-1].start()

        threads.append(threading.Thread(target=serve))
        threads[0].start()
        yield Door(port=door.getsockname()[1], certificate=certificate)
        stopping.set()
        for thread in threads:
            thread.join(10)


def _pass_on(
    client: socket.socket,
    context: ssl.SSLContext,
    greet: Callable[[socket.socket], None],
    behind: tuple[str, int],
    stopping: threading.Event,
) -> None:
    with contextlib.suppress(OSError), client:
        greet(client)
        with context.wrap_socket(client, server_side=True) as inside, socket.create_connection(behind, timeout=5) as outside:
            while not stopping.is_set():
                ready = [inside] if inside.pending() else select.select([inside, outside], [], [], 0.05)[0]
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (outside if one is inside else inside).sendall(data)
