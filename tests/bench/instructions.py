"""Counts the instructions of user space per request, of the gateway and of the bare pass-through.

    sh tests/bench/instructions.sh

A call, a list of 50 tools of which 25 are shown, and a call that is answered by events, each 2,000
times on four connections under callgrind. Threads are one each; records go to a file. SHA-256 is
left out: valgrind knows no processor that computes it. Two runs differ by less than 1 %, so a bound
that is missed is a change. What is printed last is whether the ratios are within BOUNDS.
"""

import contextlib
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

BOUNDS = {"call": 2.1, "list": 7.2, "events": 2.35}
"""Most instructions of each, as a multiple of those of the pass-through."""

REQUESTS = 2000
WARM = 200
TOKEN = "dev-alice-token"
CONFIG = """
[server]
listen = ["127.0.0.1:{listen}"]
threads = 1
[admin]
listen = "127.0.0.1:{admin}"
[upstreams.t]
path = "/mcp"
url = "http://127.0.0.1:{upstream}/mcp"
[roles.agent]
tools = ["t/call", "t/events", "t/shown_*"]
[tokens.alice]
sha256 = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user = "alice"
organization = "dev-org"
roles = ["agent"]
expires = "never"
[audit]
to = "file"
file = "{folder}/audit.jsonl"
"""


def message(result):
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": result}).encode()


def tool(name):
    text = {"type": "string", "description": "Words that say what is meant by this one."}
    schema = {"type": "object", "properties": {"title": text, "reason": text}}
    return {"name": name, "description": "Does what its name says.", "inputSchema": schema}


TEXT = message({"content": [{"type": "text", "text": '{"success":true}'}]})
NAMES = [f"{'shown' if n % 2 else 'hidden'}_{n}" for n in range(50)]
LIST = message({"tools": [tool(name) for name in NAMES], "ttlMs": 0, "cacheScope": "private"})
NOTICE = b'{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}'
EVENTS = b"".join(b"data: " + data + b"\n\n" for data in (NOTICE, NOTICE, TEXT))


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers by what is asked, each answer in one write."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        if b'"events"' in body:
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            answer = b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENTS), EVENTS)
        else:
            answer = LIST if b'"tools/list"' in body else TEXT
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def request(port, kind):
    """A whole request of the revision of 2026-07-28."""
    method = "tools/list" if kind == "list" else "tools/call"
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    parameters = {"_meta": meta}
    named = ""
    if kind != "list":
        arguments = {"title": "printer on fire", "description": "the one on the third floor"}
        parameters = {"name": kind, "arguments": arguments, "_meta": meta}
        named = f"Mcp-Name: {kind}\r\n"
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": parameters}
    body = json.dumps(body, separators=(",", ":"))
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
        f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{named}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def read_answer(stream):
    """Reads one answer to its end, and says with which status it began."""
    status = int(stream.readline().split()[1])
    length = None
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if length is not None:
        stream.read(length)
        return status
    while size := int(stream.readline(), 16):
        stream.read(size + 2)
    stream.readline()
    return status


def load(port, kind, count):
    """Sends so many requests on four connections in turn."""
    with contextlib.ExitStack() as stack:
        sockets = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(4)]
        streams = [stack.enter_context(one.makefile("rb")) for one in sockets]
        sent = request(port, kind)
        for n in range(count):
            sockets[n % 4].sendall(sent)
            if read_answer(streams[n % 4]) != 200:
                sys.exit(f"{kind}: not a 200")
        for one in sockets:
            one.close()


def control(pid, *words):
    """Tells valgrind something; tries again while it is not listening yet."""
    command = ["callgrind_control", *words, str(pid)]
    for _ in range(50):
        said = subprocess.run(command, capture_output=True, text=True)
        if "OK." in said.stdout:
            return
        time.sleep(0.2)
    sys.exit(f"{' '.join(command)}: {said.stdout}{said.stderr}")


def instructions(file):
    """Those of a dump, less those of SHA-256."""
    command = ["callgrind_annotate", "--threshold=100", "--show=Ir", file]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    number = re.compile(r"^\s*([\d,]+)")
    total, left_out = None, 0
    for line in text.splitlines():
        found = number.match(line)
        if found and "PROGRAM TOTALS" in line:
            total = int(found[1].replace(",", ""))
        elif found and "sha2" in line:
            left_out += int(found[1].replace(",", ""))
    return total - left_out


def measure(name, command, port, folder):
    """Instructions per request of each kind."""
    out = os.path.join(folder, f"{name}.out")
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*valgrind, f"--callgrind-out-file={out}", *command], **quiet)
    try:
        wait_for(port, process)
        counts = {}
        for number, kind in enumerate(BOUNDS, 1):
            load(port, kind, WARM)
            control(process.pid, "-i", "on")
            load(port, kind, REQUESTS)
            control(process.pid, "-i", "off")
            control(process.pid, "-d")
            dump = f"{out}.{number}"
            while not os.path.exists(dump):
                time.sleep(0.1)
            counts[kind] = instructions(dump) / REQUESTS
        return counts
    finally:
        process.kill()
        process.wait()


def wait_for(port, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    sys.exit(f"nothing listens on {port}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream = server.server_address[1]
    listen, admin, bare = (free_port() for _ in range(3))
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "gateway.toml")
        with open(config, "w") as file:
            ports = {"listen": listen, "admin": admin, "upstream": upstream}
            file.write(CONFIG.format(folder=folder, **ports))
        ours = ["target/release/doorward", "run", "--config", config]
        proxy = "target/bench/release/passthrough"
        theirs = [proxy, f"127.0.0.1:{bare}", f"127.0.0.1:{upstream}"]
        doorward = measure("doorward", ours, listen, folder)
        passthrough = measure("passthrough", theirs, bare, folder)
    missed = []
    for kind, bound in BOUNDS.items():
        ratio = doorward[kind] / passthrough[kind]
        numbers = f"doorward {doorward[kind]:>9,.0f}   pass-through {passthrough[kind]:>9,.0f}"
        print(f"{kind:7} {numbers}   ratio {ratio:.2f}, at most {bound}")
        if ratio > bound:
            missed.append(kind)
    if missed:
        sys.exit(f"more than the bound: {', '.join(missed)}")


if __name__ == "__main__":
    main()
