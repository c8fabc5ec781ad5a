"""Tasks with their ids sealed: a real client and a real server notice nothing, and nobody else
gets at them."""

import json
import socket

import pytest
from feature_runs import NODE_FOLDER, install_scripts, node, node_command
from gateway import AI_DEV, ALICE, ON_FREE_PORTS, Gateway, url_of
from processes import Child

CONFIGURATION = """
[upstreams.everything]
path  = "/mcp"
tasks = "sealed"
{url}

[tokens.alice]
sha256       = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user         = "alice"
organization = "dev-org"
tools        = ["everything/*"]
expires      = "never"

[tokens.other]
sha256       = "86fd2b78a9678bda55c414ff587735227aad560954a787f4e57c5086e4ee33e2"
user         = "other"
organization = "dev-org"
tools        = ["everything/*"]
expires      = "never"
"""


@pytest.fixture
def everything(tmp_path):
    """The reference server of the TypeScript SDK; it takes no port 0."""
    install_scripts()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js"
    command = ["env", f"PORT={port}", *node_command(NODE_FOLDER / script), "streamableHttp"]
    server = Child("everything", command, tmp_path)
    server.find(r"(listening on port)")
    yield f"http://127.0.0.1:{port}/mcp"
    server.end()


def drive(url, tmp_path):
    ran = node(["tasks.mjs", url, ALICE, AI_DEV], tmp_path / "tasks")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_a_task_is_its_owners_alone_and_otherwise_the_same(everything, tmp_path):
    direct = drive(everything, tmp_path)
    gateway = Gateway(tmp_path, ON_FREE_PORTS + CONFIGURATION.format(url=url_of(everything)))
    through = drive(gateway.url, tmp_path)
    gateway.end()

    assert direct["steps"] == ["taskCreated", "working", "input_required", "result"]
    assert "technical" in direct["text"]
    assert [through[what] for what in ("steps", "text")] == [
        direct[what] for what in ("steps", "text")
    ]
    assert through["found"] == through["related"] == through["id"]
    assert through["id"].count(".") == direct["id"].count(".") + 2
    assert through["stranger"] == [-32602, -32602, -32602]
    # Only the server could know whose tasks a list would show.
    assert (direct["list"], through["list"]) == (0, -32601)
    assert through["announced"] == {k: v for k, v in direct["announced"].items() if k != "list"}
