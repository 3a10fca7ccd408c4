"""The server: uvicorn, with the platform drained before uvicorn closes the sockets."""

import logging
import re
import socket

import uvicorn
from starlette.applications import Starlette

from agent_platform.app import platform_of

_LARGEST_FRAME = 1 << 20
"""uvicorn would close the connection of a larger message; the application answers an error well below it, in bytes."""

_HANDLER_GRACE_S = 5


_BEARER = re.compile(r"(bearer[ .])[^\s,;\"']+", re.IGNORECASE)


class ServerLogFilter(logging.Filter):
    """Masks tokens, which the WebSocket library logs with every header at DEBUG, and drops a complaint.

    The complaint is uvicorn's about a handshake that was answered with a real HTTP refusal.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        message = record.getMessage()
        if _BEARER.search(message):
            record.msg, record.args = _BEARER.sub(r"\1***", message), None
        return "returned without completing handshake" not in message


class PlatformServer(uvicorn.Server):
    """uvicorn closes sockets before the lifespan ends; here clients get their runs' last events first."""

    def __init__(self, app: Starlette, *, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                lifespan="on",
                ws="websockets-sansio",
                ws_max_size=_LARGEST_FRAME,
                log_config=None,  # logging is set up by whoever runs the process
                log_level=None,
                timeout_graceful_shutdown=_HANDLER_GRACE_S,
            )
        )
        self._platform = platform_of(app)
        self._filter = ServerLogFilter()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the platform, then listen and serve; StartupError if the platform does not start."""
        await self._platform.start()
        logging.getLogger("uvicorn.error").addFilter(self._filter)
        try:
            await super().serve(sockets=sockets)
        finally:
            logging.getLogger("uvicorn.error").removeFilter(self._filter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain the platform, then stop listening and end the application."""
        await self._platform.drain()
        await super().shutdown(sockets=sockets)
