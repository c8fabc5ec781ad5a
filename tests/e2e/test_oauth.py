"""The official SDK's OAuth client finds the issuer, gets a token, calls, and asks for more."""

import json
import socket
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import mcp
import pytest
from conftest import CHILDREN
from gateway import ALICE, Gateway, shipped
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata
from processes import Child

ISSUERS = """
[issuers.corp]
issuer = "{issuer}"
jwks_url = "{issuer}/certs"
algorithms = ["ES256"]
organization_claim = "org"
initial_scopes = ["tickets:read"]

[issuers.corp.scopes]
"tickets:read" = ["tickets/list_tickets", "tickets/search_tickets"]
"tickets:write" = ["tickets/create_ticket"]
"""


class Memory:
    """What a client keeps between connections."""

    def __init__(self):
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser:
    """Follows the link that the client would open, up to the redirect back to the client."""

    def __init__(self):
        self.back = None

    async def open(self, url: str):
        async with httpx2.AsyncClient() as http:
            answer = await http.get(url)
        assert answer.status_code == 302, answer.text
        self.back = {
            k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()
        }

    async def returned(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self.back)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def issuer(request, tmp_path):
    script = Path(__file__).with_name("issuer.py")
    child = Child("issuer", [sys.executable, script], tmp_path)
    request.node.stash[CHILDREN] = {"issuer": child}
    child.url = child.find(r"issuer listening on (\S+)")
    yield child
    child.end()


@pytest.fixture
def behind_issuer(request, tmp_path, issuer):
    url = f"http://127.0.0.1:{free_port()}"
    text = shipped('builtin = "tickets"')
    text = text.replace(
        'listen          = ["127.0.0.1:0"]',
        f'listen = ["{urlsplit(url).netloc}"]\npublic_url = "{url}"',
    )
    assert url in text
    gateway = Gateway(tmp_path, text + ISSUERS.format(issuer=issuer.url))
    request.node.stash[CHILDREN]["gateway"] = gateway.child
    assert gateway.url == f"{url}/mcp"
    yield gateway
    gateway.end()


def provider(url: str) -> OAuthClientProvider:
    browser = Browser()
    about = OAuthClientMetadata(client_name="doorward e2e", redirect_uris=["http://127.0.0.1:9/cb"])
    return OAuthClientProvider(url, about, Memory(), browser.open, browser.returned)


def said(issuer: Child, event: str) -> list:
    lines = [json.loads(line) for line in issuer.stdout.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_the_sdk_finds_the_issuer_and_steps_up(mode, behind_issuer, issuer):
    auth = provider(behind_issuer.url)
    async with create_mcp_http_client(auth=auth) as http:
        transport = streamable_http_client(behind_issuer.url, http_client=http)
        async with mcp.Client(transport, mode=mode) as client:
            listed = await client.list_tools()
            assert {tool.name for tool in listed.tools} == {"list_tickets", "search_tickets"}
            assert not (await client.call_tool("list_tickets", {})).is_error
            asked = said(issuer, "authorized")
            assert [line["scope"] for line in asked] == ["tickets:read"]
            assert asked[0]["resource"] == behind_issuer.url

            created = await client.call_tool("create_ticket", {"title": "more", "description": "x"})
            assert not created.is_error, created
            wanted = said(issuer, "authorized")[-1]["scope"].split()
            assert sorted(wanted) == ["tickets:read", "tickets:write"]
            assert len(said(issuer, "token")) == 2

            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == {"list_tickets", "search_tickets", "create_ticket"}
            # What no scope gives is unknown, and nobody is sent for another token.
            with pytest.raises(mcp.MCPError, match="Unknown tool: get_ticket"):
                await client.call_tool("get_ticket", {"ticket_id": "T-1"})
            assert len(said(issuer, "token")) == 2
    assert behind_issuer.count("policy_decisions_total", "reason")[("insufficient_scope",)] == 1
    created = [r for r in behind_issuer.records() if r["tool"] == "create_ticket"]
    assert [(r["reason"], r["status"]) for r in created] == [
        ("insufficient_scope", 403),
        ("allowed", 200),
    ]
    assert {(r["user"], r["organization"], r["issuer"], r["token"]) for r in created} == {
        ("alice", "dev-org", "corp", None)
    }


@pytest.mark.anyio
async def test_tokens_of_the_table_go_on_beside_an_issuer(behind_issuer, issuer):
    http = create_mcp_http_client(headers={"Authorization": f"Bearer {ALICE}"})
    async with (
        http,
        mcp.Client(streamable_http_client(behind_issuer.url, http_client=http)) as client,
    ):
        assert not (await client.call_tool("list_tickets", {})).is_error
    assert said(issuer, "authorized") == []
