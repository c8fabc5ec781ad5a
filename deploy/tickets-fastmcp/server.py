"""A ticket MCP server as a team would write it with FastMCP: four tools over the ticket API.

    python fastmcp_tickets.py API_URL

It believes the identity headers of each request, which only its gateway can set, and hands them
on to the API. Listens on a free port and says which.
"""

import asyncio
import socket
import sys

import httpx2
from fastmcp import FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.dependencies import get_http_headers

mcp = FastMCP("fastmcp-tickets")
api = httpx2.AsyncClient()
TICKETS = f"{sys.argv[1]}/api/v1/tickets"


async def ask(method: str, path: str, **request) -> str:
    """The API's own text, in the name of whoever this very call acts for."""
    headers = get_http_headers()
    identity = {name: headers.get(name, "") for name in ("x-user-id", "x-organization-id")}
    answer = await api.request(method, TICKETS + path, headers=identity, **request)
    if answer.is_success:
        return answer.text
    raise ToolError(answer.text)


@mcp.tool
async def list_tickets(
    page: int = 1, page_size: int = 10, status: str = "", category: str = "", priority: str = ""
) -> str:
    """List the tickets of your organization, newest first."""
    query = {
        "page": page,
        "page_size": page_size,
        "status": status,
        "category": category,
        "priority": priority,
    }
    return await ask("GET", "", params=query)


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
    return await ask("POST", "/ai-create", json=draft)


@mcp.tool
async def search_tickets(query: str, page: int = 1, page_size: int = 10) -> str:
    """Find tickets of your organization whose title or description holds a text."""
    return await ask("GET", "/search", params={"q": query, "page": page, "page_size": page_size})


@mcp.tool
async def get_ticket(ticket_id: str) -> str:
    """Read one ticket of your organization by its id."""
    if not ticket_id.removeprefix("T-").isdecimal():
        raise ToolError("parameter ticket_id must look like T-12")
    return await ask("GET", f"/{ticket_id}")


def main():
    """Serves on a socket that is bound first, so that the announced port is the real one."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"fastmcp listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    asyncio.run(
        mcp.run_http_async(
            transport="http", path="/mcp", sockets=[listener], show_banner=False, log_level="WARNING"
        )
    )


if __name__ == "__main__":
    main()
