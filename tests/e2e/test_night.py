"""A night watch: what breaks beside the gateway, and the one command that says why.

Each case breaks one thing, sees that nobody else is served worse for it, and looks for the true
cause where an operator would look: `doorward explain`, `/readyz`, `/status`, or the log.
"""

import http.client
import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from gateway import ALICE, BINARIES, ON_FREE_PORTS, Gateway
from night.broken import EXPECTED, Site
from processes import poll

TOKEN = """
[tokens.alice]
sha256       = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user         = "alice"
organization = "dev-org"
roles        = ["watch"]
expires      = "never"
"""

UPSTREAM = """
[upstreams.{name}]
path = "/{name}"
connect_timeout = "1s"
call_timeout = "2s"
{setting}
"""

CALL = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {
        "name": "look",
        "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}

HEADERS = {
    "Authorization": f"Bearer {ALICE}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "look",
}


def ask(url: str, body: dict | None = None, headers: dict = HEADERS):
    """Status, headers and text of an answer, whatever the status."""
    sent = body and json.dumps(body).encode()
    request = urllib.request.Request(url, sent, headers)
    try:
        answer = urllib.request.urlopen(request, timeout=20)
    except urllib.error.HTTPError as refused:
        answer = refused
    with answer:
        try:
            text = answer.read()
        except http.client.IncompleteRead as cut:
            text = cut.partial
        return answer.status, answer.headers, text.decode()


def explained(folder: Path, request_id: str) -> str:
    """What `doorward explain` says about a request, once its record is there."""
    command = [BINARIES / "doorward", "explain", request_id, "--config", folder / "gateway.toml"]

    def said():
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        return ran.returncode == 0 and ran.stdout

    return poll(f"explain {request_id} says something", said)


@pytest.fixture(scope="module")
def site(started, tmp_path_factory):
    """A gateway before all the broken upstreams, with its folder."""
    folder = tmp_path_factory.mktemp("night")
    site = Site(folder)
    upstreams = [UPSTREAM.format(name=n, setting=s) for n, s in site.settings.items()]
    grants = ", ".join(f'"{name}/look"' for name in site.settings)
    role = f"\n[roles.watch]\ntools = [{grants}]\n"
    audit = '\n[audit]\nto = "file"\nfile = "audit.jsonl"\n'
    gateway = Gateway(folder, "".join([ON_FREE_PORTS, audit, *upstreams, role, TOKEN]))
    started.children["night"] = gateway.child
    yield site, gateway, folder
    gateway.end()
    site.close()


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_explain_says_how_an_upstream_is_broken(name, site):
    broken, gateway, folder = site
    root = gateway.url.rsplit("/", 1)[0]
    _, headers, _ = ask(f"{root}/{name}", CALL)
    said = explained(folder, headers["X-Request-Id"])
    missing = [w for w in [*EXPECTED[name], broken.address(name)] if w.lower() not in said.lower()]
    assert not missing, said
