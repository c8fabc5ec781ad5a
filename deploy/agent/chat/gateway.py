"""The way to the gateway: one MCP client for each message, with the token of whoever sent it."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp import MCPError
from mcp.shared._httpx_utils import create_mcp_http_client


class BadToken(Exception):
    """The gateway does not know this token."""


class NotPermitted(Exception):
    """The gateway knows the token, but it may not tell who it is."""


class Unavailable(Exception):
    """The gateway, or what stands behind it, does not answer as it should."""


@dataclass(frozen=True)
class Caller:
    """Who the gateway says is calling."""

    user: str
    organization: str


class Wire:
    """What the statuses of the answers tell, which the client folds into other errors."""

    def __init__(self) -> None:
        self.refused = False

    def client(self, **options: Any) -> httpx2.AsyncClient:
        http = create_mcp_http_client(
            options.get("headers"), options.get("timeout"), options.get("auth")
        )
        # A redirect would carry the token to wherever it points.
        http.follow_redirects = False
        http.event_hooks["response"].append(self._watch)
        return http

    async def _watch(self, answer: httpx2.Response) -> None:
        self.refused = self.refused or answer.status_code == 401


@asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[tuple[Client, Caller]]:
    """A connected client, and whom it acts for. Closed with everything it opened, however it ends."""
    wire = Wire()
    transport = StreamableHttpTransport(url, auth=token, httpx_client_factory=wire.client)
    try:
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(Client(transport))
                caller = await whoami(client)
            except NotPermitted:
                raise
            except Exception as error:
                # The client has several ways to say that it could not connect; what matters is why.
                raise (BadToken if wire.refused else Unavailable)(type(error).__name__) from None
            yield client, caller
    except Exception as error:
        if is_lost(error):
            raise Unavailable("the connection broke") from None
        raise


def is_lost(error: BaseException) -> bool:
    """Whether a connection broke; the client may wrap that in groups."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_lost(inner) for inner in error.exceptions)
    return isinstance(error, httpx2.TransportError)


async def whoami(client: Client) -> Caller:
    """Asks the ticket server, through the gateway, for whom this client acts."""
    try:
        answer = await client.call_tool("whoami", raise_on_error=False)
    except MCPError as error:
        raise NotPermitted(error.message) from None
    if answer.is_error:
        raise Unavailable("whoami failed")
    said = json.loads(answer.content[0].text)
    return Caller(user=said["user_id"], organization=said["organization_id"])
