"""The official conformance suite says the same of a server as of the gateway in front of it."""

import hashlib
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import CHILDREN
from gateway import BINARIES, ON_FREE_PORTS, Gateway, url_of
from processes import Child
from shim import Shim

FOLDER = BINARIES.parent / "conformance"
NODE = FOLDER / "node_modules/.bin/node"
SUITE = FOLDER / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
SERVER = FOLDER / "everything-server/mcp_everything_server/server.py"

TOKEN = "conformance-token"
PATIENCE = 300.0
"""Seconds for one run. It takes three, but up to thirty more for each scenario that hangs."""

REVISIONS = [
    pytest.param(["--suite", "all", "--spec-version", "2025-03-26"], 1, id="2025-03-26"),
    pytest.param(["--suite", "all", "--spec-version", "2025-06-18"], 27, id="2025-06-18"),
    pytest.param(["--requirements", "2025-11-25"], 33, id="2025-11-25"),
    pytest.param(["--requirements", "2026-07-28"], 40, id="2026-07-28"),
]
"""What selects a revision, and how many of its scenarios the server passes."""


def configuration(upstream: str, host: str) -> str:
    return f"""{ON_FREE_PORTS}
allowed_hosts = ["{host}"]
allowed_origins = ["http://{host}"]

[upstreams.everything]
path = "/mcp"
{url_of(upstream)}

[tokens.conformance]
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
user = "conformance"
organization = "conformance"
tools = ["everything/*"]
prompts = ["everything/*"]
resources = ["everything/**"]
expires = "never"
"""


@pytest.fixture(scope="module")
def addresses(started, tmp_path_factory):
    """The server itself, and the way to it through the shim and the gateway."""
    if not NODE.exists():
        missing = f"the suite is not in {FOLDER}: tests/run.sh installs it where npm is, on x86-64"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    server = started.child("everything", [sys.executable, SERVER, "--port", "0"])
    direct = server.find(r"running on (http://\S+)") + "/mcp"
    shim = Shim(TOKEN)
    folder = tmp_path_factory.mktemp("conformance")
    gateway = Gateway(folder, configuration(direct, shim.address))
    started.children["gateway"] = gateway.child  # so that a failure shows its output
    host, port = re.search(r"//(.+):(\d+)", gateway.url).groups()
    shim.upstream = (host, int(port))
    yield direct, f"http://{shim.address}/mcp"
    shim.shutdown()
    gateway.end()


@pytest.fixture
def verdict(request, tmp_path):
    """Runs the suite and returns every check's scenario, id and status."""
    children = request.node.stash[CHILDREN] = {}

    def verdict(name: str, arguments: list, url: str) -> Counter:
        results = tmp_path / name
        command = [NODE, SUITE, "server", *arguments, "--url", url, "-o", results]
        suite = children[name] = Child(f"suite-{name}", command, tmp_path)
        try:
            suite.wait(PATIENCE)
        finally:
            suite.end()
        return checks_in(results)

    return verdict


def checks_in(results: Path) -> Counter:
    """Some ids come more than once in a scenario, so they are counted."""
    checks = Counter()
    for file in results.glob("server-*/checks.json"):
        scenario = re.fullmatch(r"server-(.+?)-\d{4}-\d\d-\d\dT.*", file.parent.name)[1]
        for check in json.loads(file.read_text()):
            checks[scenario, check["id"], check["status"]] += 1
    return checks


def passed(checks: Counter) -> int:
    """Scenarios with a success and without a failure."""

    def having(word):
        return {scenario for scenario, _, status in checks if status == word}

    return len(having("SUCCESS") - having("FAILURE"))


@pytest.mark.parametrize("arguments, expected", REVISIONS)
def test_the_gateway_changes_no_verdict(addresses, verdict, arguments, expected):
    server, gateway = addresses
    direct = verdict("direct", arguments, server)
    through = verdict("through", arguments, gateway)
    assert passed(direct) >= expected, (
        "the server itself does not pass; an empty run proves nothing"
    )
    differences = [
        f"{side} only: {count} x {' '.join(check)}"
        for side, checks in (("direct", direct - through), ("through", through - direct))
        for check, count in sorted(checks.items())
    ]
    assert not differences, "\n".join(differences)
