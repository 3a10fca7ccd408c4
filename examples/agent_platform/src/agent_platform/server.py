"""The server: uvicorn, with the platform drained before uvicorn closes the sockets."""

import logging
import socket

import uvicorn
from starlette.applications import Starlette

from agent_platform.app import platform_of

_LARGEST_FRAME = 1 << 20
"""uvicorn would close the connection of a larger message; the application answers an error well below it, in bytes."""

_HANDLER_GRACE_S = 5


class DenialFilter(logging.Filter):
    """Drops uvicorn's complaint about a handshake that was answered with a real HTTP refusal."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        return "returned without completing handshake" not in record.getMessage()


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
                access_log=False,
                log_config=None,
                log_level="info",  # never lower: at "debug" the WebSocket library logs the headers, and so the token
                timeout_graceful_shutdown=_HANDLER_GRACE_S,
            )
        )
        self._platform = platform_of(app)
        self._filter = DenialFilter()

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
