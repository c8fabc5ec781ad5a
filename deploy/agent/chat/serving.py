"""uvicorn with our bounds, and with nothing that nobody asked for."""

import socket
from typing import Any

import uvicorn

from .connection import LONGEST_HEAD, bounded
from .room import BACKLOG, WAITING, Room


class Server(uvicorn.Server):
    """Accepts a few at a time, and lets many more wait in the kernel meanwhile."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(WAITING)


def server(app: Any, room: Room) -> uvicorn.Server:
    """What serves this ASGI application."""
    settings = uvicorn.Config(
        app,
        http=bounded(room),
        ws="none",
        backlog=BACKLOG,
        h11_max_incomplete_event_size=LONGEST_HEAD,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    return Server(settings)
