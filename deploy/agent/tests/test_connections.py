"""Clients that hold something back: each has a deadline, and all of them together leave room."""

import http.client
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from chat import room
from chat.room import Room
from chat.serving import server
from process import AGENT, PATIENCE, THREAD, chat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH = f"/api/v1/chat/dev-org/threads/{THREAD}/messages"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n".encode()
HELD = {
    "nothing": b"",
    "half a head": HEAD,
    "a body": HEAD + b"Content-Length: 20\r\n\r\n",
    "half a body": HEAD + b'Content-Length: 20\r\n\r\n{"content": ',
    "a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "the body of a refused request": b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n",
    "the next request": b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
}
"""What a client sends before it falls silent, by what it holds back."""


def ask(address: tuple, method: str, path: str, **options) -> tuple:
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
    try:
        connection.request(method, path, **options)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("held", HELD)
def test_however_many_hold_something_back_a_good_caller_is_served(tmp_path, held):
    with chat(tmp_path, files=128) as (address, stderr), ExitStack() as open_ones:
        for _ in range(200):
            client = open_ones.enter_context(socket.create_connection(address, PATIENCE))
            client.sendall(HELD[held])
        assert ask(address, "GET", "/health") == (200, {"status": "ok"})
        body, headers = '{"content": "hello"}', {"Authorization": "Bearer t"}
        status, said = ask(address, "POST", PATH, body=body, headers=headers)
        assert (status, said["error"].split(";")[0]) == (
            503,
            "the tools or the model cannot be reached",
        )
        assert "too many connections" in stderr()
        for trouble in ("Traceback", "Too many open files", "out of system resource"):
            assert trouble not in stderr()


def test_with_too_few_files_it_says_so_and_does_not_start():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))

    command = [sys.executable, "-m", "chat", "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, cwd=AGENT, preexec_fn=limit, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("80 open files are allowed and 96 needed; raise ulimit -n\n")


@pytest.mark.parametrize(
    ("files", "bound"), [(128, (25, 12)), (1024, (384, 128)), (9999, (512, 128))]
)
def test_the_bounds_fit_into_the_files_that_may_be_open(monkeypatch, files, bound):
    monkeypatch.setattr(room.resource, "getrlimit", lambda _: (64, files))
    monkeypatch.setattr(room.resource, "setrlimit", lambda *_: None)
    measured = room.measure()
    assert (measured.connections, measured.messages) == bound
    needed = measured.connections + 3 * measured.messages
    assert needed + room.FILES_OF_OUR_OWN <= files


def test_the_other_service_in_python_keeps_the_same_rules():
    """Each is a folder of its own that can be copied alone, so they share no file."""
    for name in ("connection.py", "log.py", "room.py", "serving.py"):
        other = AGENT.parent / "tickets-fastmcp" / "bounds" / name
        assert other.read_bytes() == (AGENT / "chat" / name).read_bytes(), name


@contextmanager
def serving(bounds: Room):
    """The same server in front of an application of three paths; where it listens."""

    async def swallow(request: Request) -> Response:
        async for _ in request.stream():
            pass
        return Response(b"taken")

    async def refuse(_: Request) -> Response:
        return Response(b"no", 401)

    async def big(_: Request) -> Response:
        return Response(b"x" * 50_000_000)

    routes = [
        Route("/swallow", swallow, methods=["POST"]),
        Route("/refuse", refuse, methods=["POST"]),
        Route("/big", big),
    ]
    listener = socket.create_server(("127.0.0.1", 0))
    running = server(Starlette(routes=routes), bounds)
    thread = threading.Thread(target=running.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        running.should_exit = True
        thread.join(PATIENCE)
        listener.close()


SLOW = {
    "nothing at all": (b"", b""),
    "a head by the byte": (b"GET /big HTTP/1.1\r\nx: ", b"y"),
    "heads that are never whole": (b"", b"\r\n"),
    "a body by the byte": (
        b"POST /swallow HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        b"y",
    ),
    "chunks": (
        b"POST /swallow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1\r\ny\r\n",
    ),
    "a body after the answer": (
        b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        b"y",
    ),
    "a body that was promised": (
        b"POST /swallow HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
        b"",
    ),
    "an answer that is not taken": (b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n", b""),
}


@pytest.mark.parametrize("slow", SLOW)
def test_a_slow_client_is_cut_off_whatever_it_does_slowly(slow):
    first, drop = SLOW[slow]
    with serving(Room(head=0.2, body=0.2, exchange=0.4)) as address:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(address)
            client.settimeout(PATIENCE)
            client.sendall(first)
            deadline = time.monotonic() + PATIENCE
            try:
                while time.monotonic() < deadline:
                    if slow == "an answer that is not taken":
                        # The kernel tells it of a connection that was aborted.
                        time.sleep(0.02)
                        client.sendall(b"\r\n")
                    elif drop:
                        time.sleep(0.02)
                        client.sendall(drop)
                    elif not client.recv(4096):
                        raise ConnectionResetError
            except (ConnectionResetError, BrokenPipeError):
                return
            pytest.fail("it is still connected")


def test_a_client_that_is_quick_is_not_cut_off():
    with serving(Room(head=0.5, body=0.5, exchange=5.0)) as address:
        connection = http.client.HTTPConnection(*address, timeout=PATIENCE)
        for _ in range(3):
            connection.request("POST", "/swallow", b"x" * 100_000)
            assert connection.getresponse().read() == b"taken"
        connection.request("GET", "/big")
        assert len(connection.getresponse().read()) == 50_000_000
        connection.close()


def test_a_head_that_never_ends_is_refused():
    with serving(Room()) as address, socket.create_connection(address, PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 40_000)
        assert client.recv(100).startswith(b"HTTP/1.1 400 ")
