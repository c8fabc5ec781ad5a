"""The ticket MCP server in Python: five tools over the ticket API, for a gateway to stand before.

    python server.py        (TICKETS_API_URL, TICKETS_LISTEN)

It holds no tokens and no permissions. It believes the identity headers of each request, which only
its gateway can set, and hands them on to the API; so let nobody else reach it. It does not check the
gateway's assertion, but hands that on, too, for the API to check. It keeps nothing between requests,
and its bounds are those of the agent (README.md).
"""

import asyncio
import logging
import os
import socket
import sys
from contextlib import asynccontextmanager

import httpx2
from bounds import log as logs
from bounds.room import WAITING, Room, TooFewFiles, measure
from bounds.serving import server
from bounds.whole import Whole
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_http_headers
from fastmcp.server.middleware import Middleware
from starlette.middleware import Middleware as Layer
from starlette.responses import JSONResponse

API = os.environ.get("TICKETS_API_URL", "http://127.0.0.1:8000").rstrip("/") + "/api/v1"
LISTEN = os.environ.get("TICKETS_LISTEN", "127.0.0.1:8001")
IDENTITY = ("x-user-id", "x-organization-id")
ASSERTION = "x-doorward-assertion"
PATIENCE = 15.0
"""Seconds for a whole question to the API."""
MOST = 256
"""Connections; of each a body may be held."""

log = logging.getLogger("tickets-fastmcp")


class CallLog(Middleware):
    """One line for every call: who and which tool, never the arguments."""

    async def on_call_tool(self, context, call_next):
        user, organization = identity().values()
        line = f"tool={context.message.name!r} user={user!r} organization={organization!r}"
        try:
            result = await call_next(context)
        except Exception:
            log.info("tool call refused: %s", line)
            raise
        log.info("tool call: %s", line)
        return result


@asynccontextmanager
async def lifespan(_):
    async with api:
        yield


# Neither a proxy nor credentials from the environment: the API is next door.
api = httpx2.AsyncClient(timeout=PATIENCE, trust_env=False)
mcp = FastMCP(
    "doorward-tickets-fastmcp",
    instructions="Tickets of one organization. Whose they are is decided by the gateway.",
    lifespan=lifespan,
    middleware=[CallLog()],
)


def identity() -> dict:
    """Whom this very call acts for; empty where the gateway said nothing, and the API refuses that."""
    headers = get_http_headers()
    return {name: headers.get(name, "") for name in IDENTITY}


def assertion() -> dict:
    """The gateway's signed word that this very call was permitted, where it gave one."""
    word = get_http_headers().get(ASSERTION)
    return {ASSERTION: word} if word else {}


async def ask(method: str, path: str, **request) -> str:
    """The API's own text. What it refuses is an error that a model can read."""
    headers = identity() | assertion()
    try:
        async with asyncio.timeout(PATIENCE):
            answer = await api.request(method, API + path, headers=headers, **request)
    except (httpx2.HTTPError, TimeoutError) as error:
        log.warning("the ticket API could not be asked: %s", type(error).__name__)
        raise ToolError("the ticket API could not be reached; try again later") from None
    if answer.is_success:
        return answer.text
    raise ToolError(answer.text)


@mcp.tool
async def whoami() -> str:
    """Tell for whom the other tools act: your user and your organization."""
    return await ask("GET", "/whoami")


@mcp.tool
async def list_tickets(
    page: int = 1, page_size: int = 10, status: str = "", category: str = "", priority: str = ""
) -> str:
    """List the tickets of your organization, newest first, a page at a time."""
    query = {
        "page": page,
        "page_size": page_size,
        "status": status,
        "category": category,
        "priority": priority,
    }
    return await ask("GET", "/tickets", params=query)


@mcp.tool
async def create_ticket(
    title: str, description: str, category: str = "general", priority: str = "medium"
) -> str:
    """File a new ticket for your organization, in your name."""
    draft = {
        "title": title,
        "description": description,
        "category": category,
        "priority": priority,
    }
    return await ask("POST", "/tickets/ai-create", json=draft)


@mcp.tool
async def search_tickets(query: str, page: int = 1, page_size: int = 10) -> str:
    """Find tickets of your organization whose title or description holds a text."""
    text = {"q": query, "page": page, "page_size": page_size}
    return await ask("GET", "/tickets/search", params=text)


@mcp.tool
async def get_ticket(ticket_id: str) -> str:
    """Read one ticket of your organization by its id, such as T-12."""
    # It becomes part of a path.
    if not (ticket_id.isascii() and ticket_id.removeprefix("T-").isdecimal()):
        raise ToolError("parameter ticket_id must look like T-12")
    return await ask("GET", f"/tickets/{ticket_id}")


@mcp.custom_route("/health", methods=["GET"])
async def health(_):
    return JSONResponse({"status": "ok"})


async def serve(listener: socket.socket, url: str, room: Room):
    # Without sessions there are none that somebody could open without end, and no streams to hold.
    layers = [Layer(Whole, room=room, caller=tuple(name.encode() for name in IDENTITY))]
    app = mcp.http_app(path="/mcp", stateless_http=True, middleware=layers)
    tools = [tool.name for tool in await mcp.list_tools()]
    log.info("✅ Tools registered: %s", ", ".join(tools))
    log.info("Starting FastMCP server at %s for the ticket API at %s", url, API)
    log.info("room for %s connections and %s calls at once", room.connections, room.messages)
    print(f"tickets fastmcp listening on {url}", flush=True)
    await server(app, room).serve(sockets=[listener])


def main():
    logs.set_up()
    for noisy in ("mcp", "fastmcp", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        room = measure(MOST)
    except TooFewFiles as error:
        sys.exit(f"cannot start: {error}")
    host, _, port = LISTEN.rpartition(":")
    # Bound before anything is announced, so that with port 0 the announced port is the real one.
    try:
        listener = socket.create_server((host, int(port)), backlog=WAITING)
    except (OSError, ValueError) as error:
        sys.exit(f"TICKETS_LISTEN={LISTEN}: {error}")
    asyncio.run(serve(listener, f"http://{host}:{listener.getsockname()[1]}/mcp", room))


if __name__ == "__main__":
    main()
