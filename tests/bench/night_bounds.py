"""Attacks on what everybody shares, and whether a good caller is served meanwhile.

    python3 tests/bench/night_bounds.py target/release/doorward

bodies       calls of 4 MiB whose last byte does not come
lists        lists of 7 MiB of which the upstream sends all but the end
admin-diff   60 times GET /diff at once, with 20,000 tokens in the file
admin-heads  500 unfinished heads at the admin listener
files        more connections than the process may open files (ulimit -n 256)

Each attack runs against a process of its own; before and while it goes on, one good caller makes
calls on a connection that it keeps, and /livez is asked. Prints one line each: calls that
succeeded, their p50 and p99 in milliseconds, /livez, and the resident memory before, at the most,
and how the process ended, where it did. Only the standard library is needed.
"""

import contextlib
import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TOKEN = "bench-secret-00-0123456789abcdef"
LAST = 5.0  # seconds of the good caller under attack
CALLS = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo"}}
ANSWER = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def read_request(stream):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline(65537)
        if not line:
            return None
        head += line
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head, stream.read(length)


def serve_upstream(listener):
    """Answers calls at once; of a list everything but the end."""

    def serve(connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while request := read_request(stream):
                _, body = request
                if b"tools/list" in body:
                    size = 7 << 20
                    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
                    connection.sendall(b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"x":"')
                    connection.sendall(b"x" * (size - 1000))
                    time.sleep(600)
                head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Content-Length: {len(ANSWER)}\r\n\r\n".encode() + ANSWER)

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=[connection], daemon=True).start()


def configuration(ports, tokens):
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    more = "".join(
        f'[tokens.t{n}]\nsha256 = "{n:064x}"\nuser = "u{n}"\norganization = "o"\n'
        'roles = ["caller"]\nexpires = "never"\n'
        for n in range(1, tokens + 1)
    )
    return (
        f'[server]\nlisten = ["127.0.0.1:{ports[0]}"]\nthreads = 2\n'
        f'[admin]\nlisten = "127.0.0.1:{ports[1]}"\n'
        f'[upstreams.t]\npath = "/mcp"\nurl = "http://127.0.0.1:{ports[2]}/mcp"\n'
        '[roles.caller]\ntools = ["t/echo"]\n[audit]\nto = "off"\n'
        f'[tokens.good]\nsha256 = "{digest}"\nuser = "g"\norganization = "o"\n'
        f'roles = ["caller"]\nexpires = "never"\n{more}'
    )


class Gateway:
    """A process of its own, with an upstream of its own."""

    def __init__(self, binary, tokens=0, files=None):
        self.folder = tempfile.TemporaryDirectory()
        self.upstream = socket.create_server(("127.0.0.1", 0), backlog=1024)
        threading.Thread(target=serve_upstream, args=[self.upstream], daemon=True).start()
        self.port, self.admin = free_port(), free_port()
        path = Path(self.folder.name, "gateway.toml")
        ports = (self.port, self.admin, self.upstream.getsockname()[1])
        path.write_text(configuration(ports, tokens))
        limit = f"ulimit -n {files} && " if files else ""
        self.process = subprocess.Popen(
            ["sh", "-c", f'{limit}exec "$0" run --config "$1"', binary, path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while self.ask_admin("/readyz") != 200:
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit("the gateway does not start")
            time.sleep(0.05)

    def memory(self):
        """Resident, in MiB."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0
        found = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(found[0].split()[1]) // 1024 if found else 0

    def ask_admin(self, path, timeout=2):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=timeout)
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0

    def connect(self, port=None):
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=5)

    def head(self, length):
        return (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.upstream.close()
        self.folder.cleanup()


class GoodCaller:
    """Calls one after the other on a connection that it keeps, as long as that is possible."""

    def __init__(self, gateway):
        self.gateway, self.times, self.failed, self.stream = gateway, [], 0, None

    def call(self):
        body = json.dumps(CALLS).encode()
        began = time.perf_counter()
        try:
            if self.stream is None:
                self.socket = self.gateway.connect()
                self.stream = self.socket.makefile("rb")
            self.socket.sendall(self.gateway.head(len(body)) + body)
            answer = read_request(self.stream)
            if answer is None or not answer[0].startswith(b"HTTP/1.1 200"):
                raise OSError("refused")
            self.times.append((time.perf_counter() - began) * 1000)
        except OSError:
            self.failed, self.stream = self.failed + 1, None
            time.sleep(0.01)

    def run(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.call()
            time.sleep(0.002)

    def told(self):
        ordered = sorted(self.times)
        if not ordered:
            return f"0 of {self.failed} calls served"
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        total = len(ordered) + self.failed
        return f"{len(ordered)} of {total} calls served, p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def open_many(gateway, held, count, sent, port=None):
    """Connections on which this is sent, and whose answers nobody reads."""
    for _ in range(count):
        with contextlib.suppress(OSError):
            stream = gateway.connect(port)
            held.append(stream)
            stream.sendall(sent)


def bodies(gateway, held):
    size = 4 << 20
    open_many(gateway, held, 200, gateway.head(size) + b"x" * (size - 1))


def lists(gateway, held):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
    open_many(gateway, held, 100, gateway.head(len(body)) + body)


def admin_diff(gateway, held):
    open_many(gateway, held, 60, b"GET /diff HTTP/1.1\r\nHost: a\r\n\r\n", gateway.admin)


def admin_heads(gateway, held):
    open_many(gateway, held, 500, b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: ", gateway.admin)


def files(gateway, held):
    open_many(gateway, held, 600, b"POST /mcp HTTP/1.1\r\nHost: a\r\n")


ATTACKS = {
    "bodies": (bodies, {}),
    "lists": (lists, {}),
    "admin-diff": (admin_diff, {"tokens": 20_000}),
    "admin-heads": (admin_heads, {}),
    "files": (files, {"files": 256}),
}


def run(name, binary):
    attack, how = ATTACKS[name]
    gateway = Gateway(binary, **how)
    good, held, most = GoodCaller(gateway), [], [0]
    good.run(1)
    print(f"{name:12} before: {good.told()}, {gateway.memory()} MiB", flush=True)
    before, good.times, good.failed = gateway.memory(), [], 0
    is_over = threading.Event()

    def watch():
        while not is_over.wait(0.02):
            most[0] = max(most[0], gateway.memory())

    watching = threading.Thread(target=watch)
    attacking = threading.Thread(target=attack, args=[gateway, held], daemon=True)
    watching.start()
    attacking.start()
    good.run(LAST)
    alive = [gateway.ask_admin("/livez") for _ in range(5)]
    is_over.set()
    watching.join()
    ended = gateway.process.poll()
    print(
        f"{name:12} attack: {good.told()}, /livez {alive.count(200)} of 5, "
        f"{before} to {most[0]} MiB" + ("" if ended is None else f", it ended with {ended}"),
        flush=True,
    )
    for stream in held:
        stream.close()
    gateway.close()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    for name in sys.argv[2:] or ATTACKS:
        run(name, binary)


if __name__ == "__main__":
    main()
