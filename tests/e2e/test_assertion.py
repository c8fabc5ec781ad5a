"""The ticket API checks for itself that each request was permitted, whoever else reaches it."""

import os
import subprocess
import sys

import httpx2
import pytest
from clients import Library
from conftest import CHILDREN
from gateway import ALICE, BINARIES, REPOSITORY, Gateway, shipped, url_of
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
