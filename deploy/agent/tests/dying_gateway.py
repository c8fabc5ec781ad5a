"""An MCP server that is gone as soon as a tool is called; prints its URL."""

import asyncio
import os
import socket

from fastmcp import FastMCP

mcp = FastMCP("dying")


@mcp.tool
def whoami() -> str:
    return '{"user_id": "alice", "organization_id": "dev-org"}'


@mcp.tool
def list_tickets() -> str:
    os._exit(1)


listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
asyncio.run(mcp.run_http_async(sockets=[listener], show_banner=False, log_level="ERROR"))
