"""The ticket server in Python, with few files and many clients that hold something back."""

import http.client
import json
import os
import re
import resource
import socket
import sys
import threading
from contextlib import ExitStack

import httpx2
import pytest
from chain import FASTMCP
from conftest import CHILDREN
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from gateway import BINARIES
from processes import PATIENCE, Child, poll

pytestmark = pytest.mark.anyio

FILES = 128
ALICE = {"X-User-ID": "alice", "X-Organization-ID": "acme"}
TYPES = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
HEAD = f"POST /mcp HTTP/1.1\r\nHost: x\r\n{TYPES}"
HELD = {
    "nothing": "",
    "half a head": HEAD,
    "a body": f"{HEAD}Content-Length: 20\r\n\r\n",
    "half a body": f'{HEAD}Content-Length: 20\r\n\r\n{{"jsonrpc":',
    "a chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{",
    "the body of a refused request": "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n",
    "the next request": "GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    "a stream": "GET /mcp HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n",
}
"""What a client sends before it falls silent, by what it holds back."""
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING) [\w.-]+: ")


@pytest.fixture
def server(request, tmp_path):
    """The server's process and its URL, with the ticket API behind it."""
    api = Child("api", [BINARIES / "doorward-tickets", "api", "--listen", "127.0.0.1:0"], tmp_path)
    api_url = api.find(r"tickets api listening on (\S+)")
    setting = {"TICKETS_API_URL": api_url, "TICKETS_LISTEN": "127.0.0.1:0"}
    child = Child(
        "fastmcp",
        [sys.executable, FASTMCP],
        tmp_path,
        env=os.environ | setting,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES)),
    )
    request.node.stash[CHILDREN] = {"api": api, "fastmcp": child}
    yield child, child.find(r"listening on (\S+/mcp)")
    child.end()
    api.end()


async def good_call(url: str):
    """A call in each era."""
    for mode in ("legacy", "2026-07-28"):
        async with Client(StreamableHttpTransport(url, headers=ALICE), mode=mode) as client:
            answer = await client.call_tool("whoami")
            assert json.loads(answer.content[0].text)["user_id"] == "alice"


def clean(child: Child):
    for trouble in ("Traceback", "Too many open files", "out of system resource", "Exception"):
        assert trouble not in child.stderr
    assert all(LINE.match(line) for line in child.stderr.splitlines()), child.stderr


@pytest.mark.parametrize("held", HELD)
async def test_however_many_hold_something_back_a_good_caller_is_served(server, held):
    child, url = server
    host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
    with ExitStack() as clients:
        for _ in range(200):
            client = clients.enter_context(socket.create_connection((host, int(port)), PATIENCE))
            client.sendall(HELD[held].encode())
        await good_call(url)
    clean(child)


async def post(url: str, body: bytes, **headers) -> httpx2.Response:
    headers |= {"Content-Type": "application/json", **ALICE}
    headers["Accept"] = "application/json, text/event-stream"
    async with httpx2.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        return await client.post(url, content=body, headers=headers)


async def test_json_of_any_depth_is_refused_in_one_line_at_most(server):
    child, url = server
    versions = ({}, {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"})
    for deep in (b"[" * 60_000, b"[" * 30_000 + b"]" * 30_000, b'{"a":' * 40_000):
        call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call",'
        call += b'"params":{"name":"whoami","arguments":'
        for body in (deep, call + deep + b"}}", call + b'{"title":' + deep + b"}}}"):
            for version in versions:
                answer = await post(url, body, **version)
                assert answer.status_code == 400, answer.text
    await good_call(url)
    clean(child)


async def test_a_body_that_is_too_long_is_told_before_it_comes(server):
    child, url = server
    host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
    connection.putrequest("POST", "/mcp")
    connection.putheader("Content-Length", str(512 * 1024 + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"] == "the body is larger than 512 KiB"
    connection.close()
    await good_call(url)
    clean(child)


async def test_nobody_opens_a_session(server):
    _, url = server
    params = {"protocolVersion": "2025-11-25", "capabilities": {}}
    params["clientInfo"] = {"name": "test", "version": "0"}
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    answer = await post(url, json.dumps(hello).encode())
    assert answer.status_code == 200
    assert "mcp-session-id" not in answer.headers


async def test_an_api_that_does_not_answer_holds_up_one_caller_only(request, tmp_path):
    """Where one caller has its share, another is served."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=1024)
    setting = {"TICKETS_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
    setting["TICKETS_LISTEN"] = "127.0.0.1:0"
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))  # noqa: E731
    command = [sys.executable, FASTMCP]
    child = Child("fastmcp", command, tmp_path, env=os.environ | setting, preexec_fn=limit)
    request.node.stash[CHILDREN] = {"fastmcp": child}
    url = child.find(r"listening on (\S+/mcp)")
    shares = int(child.find(r"and (\d+) calls at once")) // 4
    params = {"name": "whoami", "arguments": {}}
    call = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
    head = f"{HEAD}X-User-ID: greedy\r\nX-Organization-ID: acme\r\n"
    head += f"Content-Length: {len(call)}\r\n\r\n"

    def ask(user: str) -> socket.socket:
        client = socket.create_connection((host, int(port)), PATIENCE)
        client.sendall((head.replace("greedy", user) + call).encode())
        return client

    def is_refused(client: socket.socket) -> bool:
        client.settimeout(0.2)
        try:
            return client.recv(12) == b"HTTP/1.1 503"
        except TimeoutError:
            return False

    with ExitStack() as clients:
        for _ in range(shares):
            clients.enter_context(ask("greedy"))
        poll("greedy has its share", lambda: is_refused(clients.enter_context(ask("greedy"))))
        # Whom it lets in it asks the API for, which hears of it.
        asked = threading.Event()
        clients.enter_context(silent)

        def hear():
            while not asked.is_set():
                connection, _ = silent.accept()
                clients.enter_context(connection)
                if b"x-user-id: alice" in connection.recv(4096).lower():
                    asked.set()

        thread = threading.Thread(target=hear, daemon=True)
        thread.start()
        clients.enter_context(ask("alice"))
        assert asked.wait(PATIENCE)
        thread.join(PATIENCE)
        child.kill()
