"""The ticket API checks for itself that each request was permitted, whoever else reaches it."""

import json
import os
import subprocess
import sys
import time

import httpx2
import jwt
import pytest
from clients import Library
from conftest import CHILDREN
from cryptography.hazmat.primitives.asymmetric import ed25519
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from gateway import ALICE, BINARIES, REPOSITORY, Gateway, shipped, url_of
from jwt.algorithms import OKPAlgorithm
from processes import Child
from test_oauth import free_port


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["rust", "fastmcp"])
async def test_nobody_goes_round_the_gateway(kind, request, tmp_path):
    port = free_port()
    keys = f"http://127.0.0.1:{port}/.well-known/doorward/jwks.json"
    trusting = os.environ | {"ASSERTION_JWKS_URL": keys}
    children = request.node.stash[CHILDREN] = {}
    tickets = BINARIES / "doorward-tickets"
    api = Child("api", [tickets, "api", "--listen", "127.0.0.1:0"], tmp_path, env=trusting)
    children["api"] = api
    api_url = api.find(r"tickets api listening on (\S+)")
    if kind == "rust":
        command = [tickets, "mcp", "--listen", "127.0.0.1:0", "--api", api_url]
        mcp = Child("mcp", command, tmp_path, env=trusting)
    else:
        script = REPOSITORY / "deploy" / "tickets-fastmcp" / "server.py"
        setting = {"TICKETS_API_URL": api_url, "TICKETS_LISTEN": "127.0.0.1:0"}
        mcp = Child("mcp", [sys.executable, script], tmp_path, env=os.environ | setting)
    children["mcp"] = mcp
    mcp_url = mcp.find(r"listening on (\S+/mcp)")

    command = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "assertion.pem"]
    subprocess.run(command, check=True)
    text = shipped(url_of(mcp_url))
    text = text.replace('["127.0.0.1:0"]', f'["127.0.0.1:{port}"]', 1)
    text = text.replace("[identity]", '[identity]\nassertion = { key_file = "assertion.pem" }', 1)
    gateway = Gateway(tmp_path, text)
    children["gateway"] = gateway.child

    for library in (Library("fastmcp", "legacy"), Library("mcp", "2026-07-28")):
        async with library.connect(gateway.url, ALICE) as client:
            created = await client.call("create_ticket", title="permitted", description="x")
            assert created["ticket"]["created_by"] == "alice"
            created = await client.call("create_ticket", title="again", description="x")
            assert created["success"], "a call of its own has an assertion of its own"
            assert (await client.call("list_tickets"))["success"]

    # What the gateway would have set is known to everybody, and worth nothing without its word.
    claimed = {"X-User-ID": "alice", "X-Organization-ID": "dev-org"}
    async with httpx2.AsyncClient(headers=claimed) as http:
        answer = await http.get(f"{api_url}/api/v1/tickets")
        assert answer.status_code == 401, answer.text
        forged = {"X-Doorward-Assertion": "e30.e30.e30"}
        answer = await http.get(f"{api_url}/api/v1/tickets", headers=forged)
        assert answer.status_code == 401, answer.text
    gateway.end()
    for child in (mcp, api):
        child.end()
    assert api.stderr.count("a request without the gateway's word was refused") == 2


@pytest.mark.anyio
async def test_an_assertion_makes_one_ticket_behind_a_server_that_hands_it_on(request, tmp_path):
    key = ed25519.Ed25519PrivateKey.generate()
    public = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": "k"}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [public]}))
    trusting = os.environ | {"ASSERTION_JWKS_FILE": str(tmp_path / "jwks.json")}
    children = request.node.stash[CHILDREN] = {}
    command = [BINARIES / "doorward-tickets", "api", "--listen", "127.0.0.1:0"]
    children["api"] = Child("api", command, tmp_path, env=trusting)
    api_url = children["api"].find(r"tickets api listening on (\S+)")
    script = REPOSITORY / "deploy" / "tickets-fastmcp" / "server.py"
    setting = {"TICKETS_API_URL": api_url, "TICKETS_LISTEN": "127.0.0.1:0"}
    children["mcp"] = Child("mcp", [sys.executable, script], tmp_path, env=os.environ | setting)
    url = children["mcp"].find(r"listening on (\S+/mcp)")

    def word(tool: str, **claims) -> str:
        now = int(time.time())
        claims = {
            "aud": "tickets",
            "sub": "alice",
            "org": "dev-org",
            "method": "tools/call",
            "tool": tool,
            "jti": "1",
            "body_sha256": "",
            "iat": now,
            "exp": now + 60,
        } | claims
        header = {"kid": "k", "typ": "doorward-assertion+jwt"}
        return jwt.encode(claims, key, "EdDSA", headers=header)

    async def call(tool: str, assertion: str, **arguments):
        headers = {"X-User-ID": "alice", "X-Organization-ID": "dev-org"}
        headers["X-Doorward-Assertion"] = assertion
        async with Client(StreamableHttpTransport(url, headers=headers)) as client:
            return json.loads((await client.call_tool(tool, arguments)).content[0].text)

    once = word("create_ticket")
    assert (await call("create_ticket", once, title="a", description="x"))["success"]
    for refused in (once, word("create_ticket", exp=int(time.time()) + 3600, jti="2")):
        with pytest.raises(ToolError, match="does not vouch"):
            await call("create_ticket", refused, title="b", description="x")
    listing = word("list_tickets")
    for _ in range(2):
        assert (await call("list_tickets", listing))["total"] == 1
    for child in children.values():
        child.end()
    assert children["api"].stderr.count("it has been used before") == 1
    assert children["api"].stderr.count("it lives longer than") == 1
