"""Runs wrk against the gateway and the bare proxy in turn; prints medians and their ratio."""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TOKEN = "dev-alice-token"
TICK = os.sysconf("SC_CLK_TCK")
CONFIG = """
[server]
listen = ["127.0.0.1:{listen}"]
threads = 1
[admin]
listen = "127.0.0.1:{admin}"
[upstreams.tickets]
path = "/mcp"
url = "http://127.0.0.1:{upstream}/mcp"
[roles.agent]
tools = ["tickets/create_ticket"]
[tokens.alice]
sha256 = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user = "alice"
organization = "dev-org"
roles = ["agent"]
expires = "never"
"""
SCRIPT = """
wrk.method = "POST"
wrk.path = "/mcp"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["Authorization"] = "Bearer {token}"
wrk.headers["MCP-Protocol-Version"] = "2026-07-28"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "create_ticket"
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu(pid):
    """User and system time of a process in seconds."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def wait_for(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing listens on {port}")


def load(port, script, seconds):
    """Requests done, and how many were not a 2xx."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{port}/mcp"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    done = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return done, int(bad.group(1)) if bad else 0


def main():
    rounds, seconds = int(sys.argv[1]), int(sys.argv[2])
    with open("tests/bench/call.json") as f:
        body = f.read().strip()
    upstream, listen, admin, bare = (free_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as folder:
        config, script = os.path.join(folder, "gateway.toml"), os.path.join(folder, "call.lua")
        with open(config, "w") as f:
            f.write(CONFIG.format(listen=listen, admin=admin, upstream=upstream))
        with open(script, "w") as f:
            f.write(SCRIPT.format(body=body, token=TOKEN))
        commands = {
            "upstream": ["target/bench/release/upstream", f"127.0.0.1:{upstream}"],
            "doorward": ["target/release/doorward", "run", "--config", config],
            "bare": [
                "target/bench/release/passthrough",
                f"127.0.0.1:{bare}",
                f"127.0.0.1:{upstream}",
            ],
        }
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = {name: subprocess.Popen(command, **quiet) for name, command in commands.items()}
        try:
            for port in (upstream, listen, bare):
                wait_for(port)
            measure(running, {"doorward": listen, "bare": bare}, script, rounds, seconds)
            judge_metrics(admin)
        finally:
            for process in running.values():
                process.kill()
                process.wait()


def measure(running, ports, script, rounds, seconds):
    figures = {name: [] for name in ports}
    for name, port in ports.items():
        load(port, script, 1)
    for _ in range(rounds):
        for name, port in ports.items():
            before = cpu(running[name].pid)
            done, bad = load(port, script, seconds)
            if bad:
                sys.exit(f"{name}: {bad} calls failed")
            figures[name].append((cpu(running[name].pid) - before) / done * 1e6)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    for name, values in figures.items():
        shown = " ".join(f"{value:.1f}" for value in values)
        print(f"{name:9} CPU per call: median {medians[name]:.1f} us   ({shown})")
    ratios = [d / b for d, b in zip(figures["doorward"], figures["bare"])]
    print(f"ratio doorward / bare pass-through: median {statistics.median(ratios):.2f}")


def judge_metrics(admin):
    text = urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics").read().decode()
    calls = re.search(r'tool_calls_total\{outcome="ok",tool="create_ticket".*\} (\d+)', text)
    print(json.dumps({"calls counted by the gateway": int(calls.group(1))}))


if __name__ == "__main__":
    main()
