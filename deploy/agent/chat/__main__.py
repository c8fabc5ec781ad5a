"""Starts the chat application: python -m chat."""

import argparse
import asyncio
import logging
import os
import socket
import sys

from . import log as logs
from .app import application
from .assistant import Assistant
from .room import WAITING, Room, TooFewFiles, measure
from .serving import server

log = logging.getLogger("chat")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m chat", description=__doc__)

    def option(name: str, variable: str, default: str, text: str) -> None:
        default = os.environ.get(variable, default)
        parser.add_argument(name, default=default, help=f"{text} ({variable}; now {default})")

    option("--listen", "CHAT_LISTEN", "127.0.0.1:8000", "host:port; port 0 is any free one")
    option("--gateway", "GATEWAY_URL", "http://127.0.0.1:8080/mcp", "the MCP endpoint")
    option("--database", "CHAT_DATABASE", ":memory:", "the SQLite file of threads and messages")
    option(
        "--model", "CHAT_MODEL", "offline", "a Pydantic AI model, or the rules without a network"
    )
    return parser.parse_args()


async def serve(given: argparse.Namespace, listener: socket.socket, room: Room) -> None:
    app = application(given.gateway, Assistant(given.model), given.database, room)
    host, port = listener.getsockname()[:2]
    log.info("✅ FastMCP client ready for %s, model %s", given.gateway, given.model)
    log.info("room for %s connections and %s messages at once", room.connections, room.messages)
    print(f"chat listening on http://{host}:{port}", flush=True)
    await server(app, room).serve(sockets=[listener])


def main() -> None:
    # What people write is in the database.
    os.umask(0o077)
    logs.set_up()
    given = arguments()
    try:
        room = measure()
    except TooFewFiles as error:
        sys.exit(f"cannot start: {error}")
    host, _, port = given.listen.rpartition(":")
    # Bound before anything is announced, so that with port 0 the announced port is the real one.
    try:
        listener = socket.create_server((host, int(port)), backlog=WAITING)
    except (OSError, ValueError) as error:
        sys.exit(f"cannot listen on {given.listen}: {error}")
    asyncio.run(serve(given, listener, room))


if __name__ == "__main__":
    main()
