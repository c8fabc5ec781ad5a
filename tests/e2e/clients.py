"""The MCP clients under test behind one small face, so that every case runs with each of them."""

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import fastmcp
import httpx2
import mcp
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


@dataclass
class Wire:
    """What a client sent and got, seen from its own HTTP library."""

    posts: int = 0
    request_ids: set = field(default_factory=set)

    def watch(self, http: httpx2.AsyncClient) -> httpx2.AsyncClient:
        async def on_request(request):
            self.posts += request.method == "POST"

        async def on_response(response):
            self.request_ids.add(response.headers["x-request-id"])

        http.event_hooks["request"].append(on_request)
        http.event_hooks["response"].append(on_response)
        return http


class ToolFailed(Exception):
    """The tool itself said no; holds its words."""


@dataclass(frozen=True)
class Library:
    """A client library in one of its modes."""

    name: str
    mode: str

    @asynccontextmanager
    async def connect(self, url: str, token: str, wire: Wire | None = None):
        """A connected client that presents `token`."""
        wire = wire or Wire()
        if self.name == "fastmcp":

            def factory(headers=None, timeout=None, auth=None, **_):
                return wire.watch(create_mcp_http_client(headers, timeout, auth))

            transport = StreamableHttpTransport(url, auth=token, httpx_client_factory=factory)
            async with fastmcp.Client(transport, mode=self.mode) as client:
                yield FastMcp(client)
        else:
            http = wire.watch(create_mcp_http_client(headers={"Authorization": f"Bearer {token}"}))
            async with http:
                transport = streamable_http_client(url, http_client=http)
                async with mcp.Client(transport, mode=self.mode) as client:
                    yield PythonSdk(client)


LIBRARIES = [
    Library("fastmcp", "legacy"),
    Library("fastmcp", "auto"),
    Library("fastmcp", "2026-07-28"),
    Library("mcp", "legacy"),
    Library("mcp", "2026-07-28"),
]


class FastMcp:
    """FastMCP's own client."""

    def __init__(self, client):
        self._client = client

    async def tools(self) -> set:
        return {tool.name for tool in await self._client.list_tools()}

    async def call(self, tool: str, **arguments) -> dict:
        return _answer(await self._client.call_tool(tool, arguments, raise_on_error=False))


class PythonSdk:
    """The client of the official Python SDK."""

    def __init__(self, client):
        self._client = client

    async def tools(self) -> set:
        return {tool.name for tool in (await self._client.list_tools()).tools}

    async def call(self, tool: str, **arguments) -> dict:
        return _answer(await self._client.call_tool(tool, arguments))


def _answer(result) -> dict:
    text = result.content[0].text
    if result.is_error:
        raise ToolFailed(text)
    return json.loads(text)
