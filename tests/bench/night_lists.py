"""Attacks by what upstreams say, and whether a good caller is served meanwhile.

    python3 tests/bench/night_lists.py target/release/doorward [ATTACK…]

events  answers of 2 MiB of line feeds, eight at once
tasks   120 calls, each of which makes a task whose id has 1 MiB
names   30 lists of four new tools each, whose names have 1 MiB, against tools.lock
values  lists of 7 MiB, four at once, whose one tool is in tools.lock and has a million values now
pages   `lock`: pages of 4 MiB without an end
drip    `lock`: small pages without an end, one in a second, at a call_timeout of 2 s

Each attack runs against a process of its own; before and while it goes on, one good caller makes
calls on a connection that it keeps. Prints one line each: calls that succeeded, their p50 and p99
in milliseconds, and the resident memory before, at the most; for `lock` how it ended, after how
many seconds, and its own memory at the most. `lock` is ended after 45 seconds. Only the standard
library is needed.
"""

import contextlib
import hashlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import night_bounds
from night_bounds import ANSWER, TOKEN, GoodCaller, free_port, read_request

PATIENCE = 45.0  # seconds until `lock` is ended
LINE_FEEDS = b"\n" * (2 << 20)
JSON, EVENTS = "application/json", "text/event-stream"


def message(result):
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


def tool(name, filling=""):
    return {"name": name, "description": filling, "inputSchema": {"type": "object"}}


class Upstream:
    """Answers as `says` says; calls of echo at once and well."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.numbers = itertools.count()
        self.pages = None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as stream:
            while request := read_request(stream):
                kind, body = self.says(request[1])
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
                connection.sendall(f"{head}\r\n\r\n".encode() + body)

    def says(self, request):
        if b"tools/list" in request:
            return JSON, self.list()
        if b'"burst"' in request:
            return EVENTS, LINE_FEEDS + b"data: " + ANSWER + b"\n\n"
        if b'"task"' in request:
            made = f"{next(self.numbers)}-".ljust(1 << 20, "t")
            return JSON, message({"task": {"taskId": made, "status": "working"}})
        return JSON, ANSWER

    def list(self):
        number = next(self.numbers)
        if self.pages == "names":
            new = [tool(f"{number}-{n}-".ljust(1 << 20, "n")) for n in range(4)]
            return message({"tools": [tool("echo"), *new]})
        if self.pages == "values":
            schema = '{"x":[' + '{"":1},' * (1 << 20) + "1]}"
            return message({"tools": [tool("echo") | {"inputSchema": "?"}]}).replace(
                b'"?"', schema.encode()
            )
        if self.pages == "pages":
            page = [tool(f"t{number}", "x" * (4 << 20))]
            return message({"tools": page, "nextCursor": str(number)})
        if self.pages == "drip":
            time.sleep(1)
            return message({"tools": [tool(f"t{number}")], "nextCursor": str(number)})
        return message({"tools": [tool("echo"), tool("burst"), tool("task")]})


class Gateway(night_bounds.Gateway):
    """A process of its own, with an upstream of its own that seals tasks, and a lock."""

    def __init__(self, binary):
        self.binary, self.folder, self.server = binary, tempfile.TemporaryDirectory(), Upstream()
        self.upstream = self.server.listener
        self.port, self.admin = free_port(), free_port()
        self.path = Path(self.folder.name, "gateway.toml")
        self.path.write_text(self.configuration(""))
        self.lock().wait()
        self.path.write_text(self.configuration('[lock]\nfile = "tools.lock"\n'))
        self.process = subprocess.Popen(
            [binary, "run", "--config", self.path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while self.ask_admin("/readyz") != 200:
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit("the gateway does not start")
            time.sleep(0.05)

    def configuration(self, more):
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        return (
            f'[server]\nlisten = ["127.0.0.1:{self.port}"]\nthreads = 2\n'
            f'[admin]\nlisten = "127.0.0.1:{self.admin}"\n'
            f'[upstreams.t]\npath = "/mcp"\nurl = "http://127.0.0.1:{self.server.port}/mcp"\n'
            'tasks = "sealed"\ncall_timeout = "2s"\n'
            '[roles.caller]\ntools = ["t/*"]\n[audit]\nto = "off"\n'
            f'[tokens.good]\nsha256 = "{digest}"\nuser = "g"\norganization = "o"\n'
            f'roles = ["caller"]\nexpires = "never"\n{more}'
        )

    def lock(self):
        return subprocess.Popen(
            [self.binary, "lock", "--config", self.path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def ask(self, method, name=None):
        """One request on a connection of its own, whose answer is read to its end."""
        parameters = {"name": name} if name else {}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        body = json.dumps(body).encode()
        head = self.head(len(body)).replace(b"Content-Type", b"Connection: close\r\nContent-Type")
        with contextlib.suppress(OSError), self.connect() as stream:
            stream.settimeout(30)
            stream.sendall(head + body)
            while stream.recv(1 << 20):
                pass


def events(gateway, is_over):
    def burst():
        while not is_over.is_set():
            gateway.ask("tools/call", "burst")

    for _ in range(8):
        threading.Thread(target=burst, daemon=True).start()
    is_over.wait(5)


def tasks(gateway, _):
    for _ in range(120):
        gateway.ask("tools/call", "task")


def names(gateway, _):
    gateway.server.pages = "names"
    for _ in range(30):
        gateway.ask("tools/list")


def values(gateway, _):
    gateway.server.pages = "values"
    asking = [threading.Thread(target=gateway.ask, args=["tools/list"]) for _ in range(4)]
    for asked in asking:
        asked.start()
    for asked in asking:
        asked.join()


def lock(gateway, pages):
    gateway.server.pages = pages
    began, verb, most, said = time.monotonic(), gateway.lock(), 0, []
    reading = threading.Thread(target=lambda: said.append(verb.stderr.read()))
    reading.start()
    ending = threading.Timer(PATIENCE, verb.kill)
    ending.start()
    while verb.poll() is None:
        most = max(most, memory(verb.pid))
        time.sleep(0.02)
    ending.cancel()
    reading.join()
    took = time.monotonic() - began
    why = said[0].decode().strip()[-160:] if verb.returncode >= 0 else "ended by this script"
    return f"lock {took:.0f} s, at most {most} MiB: {why}"


def memory(pid):
    """Resident, in MiB."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(found[0].split()[1]) // 1024 if found else 0


ATTACKS = {
    "events": events,
    "tasks": tasks,
    "names": names,
    "values": values,
    "pages": lambda gateway, _: lock(gateway, "pages"),
    "drip": lambda gateway, _: lock(gateway, "drip"),
}


def run(name, binary):
    gateway = Gateway(binary)
    good = GoodCaller(gateway)
    good.run(1)
    before = gateway.memory()
    print(f"{name:8} before: {good.told()}, {before} MiB", flush=True)
    good.times, good.failed = [], 0
    is_over, said, most = threading.Event(), [], before

    def attack():
        said.append(ATTACKS[name](gateway, is_over))

    attacking = threading.Thread(target=attack, daemon=True)
    attacking.start()
    while attacking.is_alive():
        good.run(0.1)
        most = max(most, gateway.memory())
    is_over.set()
    more = f"; {said[0]}" if said and said[0] else ""
    print(f"{name:8} attack: {good.told()}, {before} to {most} MiB{more}", flush=True)
    gateway.close()


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.abspath(sys.argv[1])
    for name in sys.argv[2:] or ATTACKS:
        run(name, binary)


if __name__ == "__main__":
    main()
