"""What trouble with audit records, or a caller without a token, does to a good caller.

    python3 tests/bench/night_audit.py target/release/doorward

For each attack: is the good caller served meanwhile (and after it), and with what latency.
"""

import contextlib
import hashlib
import http.client
import http.server
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOKEN = "night-token-1234567890"
DIGEST = hashlib.sha256(TOKEN.encode()).hexdigest()
CONFIG = """
[server]
listen = ["127.0.0.1:0"]
[server.shutdown]
lame_duck = "100ms"
drain = "1s"
[admin]
listen = "127.0.0.1:0"
[upstreams.t]
path = "/mcp"
url = "http://127.0.0.1:{upstream}/mcp"
[roles.r]
tools = [{tools}]
[tokens.good]
sha256 = "{digest}"
user = "good"
organization = "o"
roles = ["r"]
expires = "never"
[limits]
connections = 20000
[audit]
{audit}
"""
CALL = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x"}})
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}


def configuration(audit, upstream, tools='"t/*"'):
    return CONFIG.format(upstream=upstream, digest=DIGEST, audit=audit, tools=tools)


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet for head and body, or Nagle's algorithm is what is measured.
    wbufsize = 1 << 16

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"jsonrpc":"2.0","id":1,"result":{"content":[]}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def streams(server):
    """Answers each GET with an event stream that never ends, in one thread for all."""
    kept = []
    while True:
        connection, _ = server.accept()
        connection.recv(4096)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"8\r\n: hello\n\r\n"
        )
        kept.append(connection)


class Gateway:
    def __init__(self, binary, audit, upstream, tools='"t/*"', reads_log=True, **options):
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "gateway.toml")
        self.file = os.path.join(self.folder.name, "audit.jsonl")
        with open(path, "w") as config:
            config.write(configuration(audit.format(file=self.file), upstream, tools))
        command = [binary, "run", "--config", path]
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options
        self.process = subprocess.Popen(command, **options)
        self.ports = {}
        for line in self.process.stderr:
            event = json.loads(line)
            if event.get("event") in ("server.listening", "admin.listening"):
                self.ports[event["event"]] = int(event["url"].split(":")[2].split("/")[0])
            if event.get("event") == "server.ready":
                break
        self.log = []
        if reads_log:
            threading.Thread(target=self.read_log, daemon=True).start()
        self.port = self.ports["server.listening"]

    def read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def call(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            client.request("POST", "/mcp", CALL, HEADERS)
            return client.getresponse().status
        except OSError as error:
            return type(error).__name__
        finally:
            client.close()

    def good(self, count=200):
        """How a good caller fares."""
        times, answers = [], {}
        for _ in range(count):
            began = time.perf_counter()
            answer = self.call()
            times.append((time.perf_counter() - began) * 1000)
            answers[answer] = answers.get(answer, 0) + 1
        late = statistics.quantiles(times, n=100)[98]
        return f"{answers}, p50 {statistics.median(times):.1f} ms, p99 {late:.1f} ms"

    def until_refused(self, most=20000):
        return any(self.call() != 200 for _ in range(most))

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def say(row, what, outcome):
    print(f"{row:4} {what:44} {outcome}", flush=True)


def disk(binary, upstream):
    """B2: the greatest size of a file stands for a disk that is full, and has room again."""
    gateway = Gateway(binary, 'to = "file"\nfile = "{file}"', upstream)
    gateway.call()
    size = (4096, resource.RLIM_INFINITY)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, size)
    gateway.until_refused(50)
    say("B2", "disk full", gateway.good(20))
    if gateway.process.poll() is None:
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, unlimited)
        time.sleep(2)
    say("B2", "room again", gateway.good())
    gateway.end()


def many_streams(binary, upstream):
    """B3: open streams of one caller, as many as the limit lets in."""
    server = socket.create_server(("127.0.0.1", 0), backlog=4096)
    threading.Thread(target=streams, args=[server], daemon=True).start()
    port = server.getsockname()[1]
    second = f'[upstreams.s]\npath = "/s"\nurl = "http://127.0.0.1:{port}/s"\n'
    audit = 'to = "file"\nfile = "{file}"\narguments = "full"\n'
    gateway = Gateway(binary, audit + second, upstream)
    head = f"GET /s HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += "Accept: text/event-stream\r\n\r\n"
    # Of the descriptors of this process and of the gateway, two for a stream each.
    most = min(9500, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2)
    clients = []
    for _ in range(most):
        client = socket.create_connection(("127.0.0.1", gateway.port))
        client.sendall(head.encode())
        clients.append(client)
    opened = sum(client.recv(64).startswith(b"HTTP/1.1 200") for client in clients)
    say("B3", f"beside {opened} open streams (of {most})", gateway.good())
    for client in clients:
        client.close()
    gateway.end()


def flood(binary, upstream):
    """B4: requests without a token."""
    gateway = Gateway(binary, 'to = "file"\nfile = "{file}"', upstream)
    is_over = threading.Event()
    sent = [0]

    def send():
        request = f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode() * 50
        with contextlib.suppress(OSError):
            client = socket.create_connection(("127.0.0.1", gateway.port))
            while not is_over.is_set():
                client.sendall(request)
                client.recv(1 << 20)
                sent[0] += 50

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    outcome = gateway.good(1000)
    with open(gateway.file) as records:
        size = sum(len(record) for record in records if '"user":null' in record)
    rate = size / (time.perf_counter() - began) / 1024
    is_over.set()
    what = f"beside {sent[0]} requests without a token"
    say("B4", what, f"{outcome}; {rate:.0f} KiB of their records a second")
    gateway.end()
    for thread in threads:
        thread.join()


def stuck(binary, upstream):
    """B15: standard output is a pipe that nobody reads."""
    for signals in (["SIGTERM"], ["SIGTERM", "SIGTERM"], ["SIGINT"]):
        reader, writer = os.pipe()
        gateway = Gateway(binary, "", upstream, stdout=writer)
        os.close(writer)
        gateway.until_refused()
        began = time.perf_counter()
        for name in signals:
            gateway.process.send_signal(getattr(signal, name))
            time.sleep(0.2)
        try:
            gateway.process.wait(timeout=15)
            outcome = f"ended after {time.perf_counter() - began:.1f} s"
        except subprocess.TimeoutExpired:
            outcome = "STILL THERE after 15 s"
        say("B15", "output unread, " + " ".join(signals), outcome)
        gateway.end()
        os.close(reader)


def good_upstream():
    """The port of a server that answers every call."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    upstream = good_upstream()
    for attack in (disk, many_streams, flood, stuck):
        attack(os.path.abspath(sys.argv[1]), upstream)


if __name__ == "__main__":
    sys.exit(main())
