"""Attacks on the demo's services, and whether a good caller is served meanwhile.

    target/e2e-venv/bin/python tests/bench/night_demo.py FOLDER TICKETS [ATTACK...]

FOLDER is a checkout of this repository, of now or of before, with the services in Python; TICKETS
is a doorward-tickets, of now or of before.

bodies    150 bodies that do not come, for a process that may open 128 files
silent    150 connections that say nothing, for such a process
brackets  `[` 60,000 times as a body, again and again on 4 connections
keys      assertions by keys that nobody knows, while the server of the keys takes 4 seconds

Each attack runs against a process of its own for each service that it fits; before and while it
goes on, one good caller asks, each time on a new connection, and waits 5 s at most. Prints one line
each: what was served, p50, p99 and the longest in milliseconds, the resident memory before and at
the most, the lines and the bytes of the log, and how the process ended, where it did. Needs the
packages of the e2e tests, and openssl.
"""

import base64
import contextlib
import http.client
import http.server
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LAST = 5.0  # seconds of the good caller under attack
IDENTITY = {"X-User-ID": "good", "X-Organization-ID": "o"}
THREAD = "4aba8e44-6900-4c76-8b33-f8b96ca0e75b"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
CALL["params"] = {
    "name": "whoami",
    "arguments": {},
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    },
}
MODERN = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "whoami",
}


def text64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Keys:
    """A server of keys that takes its time, and an assertion by the one key that it has."""

    def __init__(self, folder):
        self.slow = 0.0
        pem, word = Path(folder, "key.pem"), Path(folder, "word")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", pem], check=True)
        command = ["openssl", "pkey", "-in", pem, "-pubout", "-outform", "DER"]
        x = text64(subprocess.run(command, check=True, capture_output=True).stdout[-32:])
        keys = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "good", "x": x}]}
        claims = {"aud": "tickets", "sub": "good", "org": "o", "method": "tools/call"}
        claims |= {"tool": "whoami", "jti": "1", "body_sha256": "", "iat": int(time.time())}
        claims["exp"] = claims["iat"] + 300
        word.write_text(f"{self.head('good')}.{text64(json.dumps(claims).encode())}")
        command = ["openssl", "pkeyutl", "-sign", "-inkey", pem, "-rawin", "-in", word]
        signature = subprocess.run(command, check=True, capture_output=True).stdout
        self.good = f"{word.read_text()}.{text64(signature)}"
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                time.sleep(outer.slow)
                body = json.dumps(keys).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    def head(self, kid):
        header = {"alg": "EdDSA", "typ": "doorward-assertion+jwt", "kid": kid}
        return text64(json.dumps(header).encode())

    def unknown(self):
        return f"{self.head('unknown')}.{text64(b'{}')}.{text64(b'x' * 64)}"


class Process:
    """A process of a service, whose output goes into files."""

    def __init__(self, folder, name, command, cwd=None, files=None, **environment):
        self.out, self.err = Path(folder, f"{name}.out"), Path(folder, f"{name}.err")

        def limit():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=cwd,
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
                stdout=out,
                stderr=err,
                preexec_fn=limit,
            )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://[\d.]+:(\d+)", self.out.read_text())):
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"{name} does not start: {self.err.read_text()}")
            time.sleep(0.05)
        self.port = int(found[1])

    def memory(self):
        """Resident, in MiB."""
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024
        return 0

    def log(self):
        with self.err.open("rb") as log:
            return sum(1 for _ in log), self.err.stat().st_size

    def end(self):
        self.process.kill()
        self.process.wait()


class Service:
    """One service, with what it needs beside it; what a good caller asks, and where bodies go."""

    def __init__(self, kind, checkout, binary, folder, files=None, keys=None):
        self.beside = []
        trust = {"ASSERTION_JWKS_URL": keys.url} if keys else {}
        listen = ["--listen", "127.0.0.1:0"]
        more = {"X-Doorward-Assertion": keys.good} if keys else {}
        self.good = ("GET", "/api/v1/whoami", None, IDENTITY | more)
        self.post = ("/api/v1/tickets/ai-create", IDENTITY | {"Content-Type": "application/json"})
        if kind == "api":
            self.main = Process(folder, kind, [binary, "api", *listen], files=files, **trust)
            return
        if kind == "chat":
            command = [sys.executable, "-m", "chat", *listen, "--gateway", "http://127.0.0.1:1/mcp"]
            self.main = Process(folder, kind, command, Path(checkout, "deploy/agent"), files)
            self.good = ("GET", "/health", None, {})
            self.post = (f"/api/v1/chat/o/threads/{THREAD}/messages", {"Authorization": "Bearer t"})
            return
        api = Process(folder, "api", [binary, "api", *listen])
        self.beside.append(api)
        url = f"http://127.0.0.1:{api.port}"
        if kind == "mcp":
            self.main = Process(folder, kind, [binary, "mcp", *listen, "--api", url], files=files)
        else:
            script = Path(checkout, "deploy/tickets-fastmcp/server.py")
            setting = {"TICKETS_API_URL": url, "TICKETS_LISTEN": "127.0.0.1:0"}
            self.main = Process(folder, kind, [sys.executable, script], files=files, **setting)
        self.good = ("POST", "/mcp", json.dumps(CALL), IDENTITY | MODERN)
        self.post = ("/mcp", IDENTITY | MODERN)

    def head(self, length):
        path, headers = self.post
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.main.port}\r\n{lines}"
        return f"{head}Content-Length: {length}\r\n\r\n".encode()

    def end(self):
        for process in (self.main, *self.beside):
            process.end()


class GoodCaller:
    """Asks one after the other, as somebody does who has just come."""

    def __init__(self, service):
        self.service, self.times, self.failed = service, [], 0

    def ask(self):
        method, path, body, headers = self.service.good
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.service.main.port, timeout=5)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise OSError(answer.status)
            self.times.append((time.perf_counter() - began) * 1000)
        except (OSError, http.client.HTTPException):
            self.failed += 1
            time.sleep(0.01)
        finally:
            connection.close()

    def run(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.ask()
            time.sleep(0.002)

    def told(self):
        ordered = sorted(self.times)
        total = len(ordered) + self.failed
        if not ordered:
            return f"0 of {total} served"
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        served = f"{len(ordered)} of {total} served"
        return f"{served}, p50 {p50:.1f}, p99 {p99:.1f}, longest {ordered[-1]:.0f} ms"


def open_many(service, held, sent):
    for _ in range(150):
        with contextlib.suppress(OSError):
            held.append(socket.create_connection(("127.0.0.1", service.main.port), timeout=5))
            held[-1].sendall(sent)


def bodies(service, held, _):
    open_many(service, held, service.head(1000))


def silent(service, held, _):
    open_many(service, held, b"")


def repeat(service, count, ask):
    """Asks on so many connections at once, as often as it can."""

    def go_on():
        until = time.monotonic() + LAST
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                ask(http.client.HTTPConnection("127.0.0.1", service.main.port, timeout=10))

    for _ in range(count):
        threading.Thread(target=go_on, daemon=True).start()


def brackets(service, _held, _keys):
    path, headers = service.post

    def ask(connection):
        connection.request("POST", path, "[" * 60_000, headers)
        connection.getresponse().read()

    repeat(service, 4, ask)


def unknown_keys(service, _held, keys):
    keys.slow = 4.0
    _, path, _, headers = service.good

    def ask(connection):
        connection.request("GET", path, headers=headers | {"X-Doorward-Assertion": keys.unknown()})
        connection.getresponse().read()

    repeat(service, 4, ask)


EVERYWHERE = ("chat", "fastmcp", "mcp", "api")
ATTACKS = {
    "bodies": (bodies, EVERYWHERE, 128),
    "silent": (silent, EVERYWHERE, 128),
    "brackets": (brackets, EVERYWHERE, None),
    "keys": (unknown_keys, ("api",), None),
}


def run(name, kind, checkout, binary):
    attack, _, files = ATTACKS[name]
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(folder) if name == "keys" else None
        service = Service(kind, checkout, binary, folder, files, keys)
        good, held, most = GoodCaller(service), [], 0
        good.run(1)
        before = service.main.memory()
        print(f"{name:8} {kind:7} before: {good.told()}, {before} MiB", flush=True)
        lines, written = service.main.log()
        good.times, good.failed = [], 0
        threading.Thread(target=attack, args=[service, held, keys], daemon=True).start()
        until = time.monotonic() + LAST
        while time.monotonic() < until:
            good.run(0.1)
            most = max(most, service.main.memory())
        ended, (now, size) = service.main.process.poll(), service.main.log()
        print(
            f"{name:8} {kind:7} attack: {good.told()}, {before} to {most} MiB, "
            f"log {now - lines} lines, {(size - written) / 1024:.0f} KiB"
            + ("" if ended is None else f", it ended with {ended}"),
            flush=True,
        )
        for connection in held:
            connection.close()
        service.end()


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    checkout, binary = (os.path.abspath(path) for path in sys.argv[1:3])
    for name in sys.argv[3:] or ATTACKS:
        for kind in ATTACKS[name][1]:
            run(name, kind, checkout, binary)


if __name__ == "__main__":
    main()
