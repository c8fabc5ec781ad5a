"""What every case runs against: each upstream, each client library, a gateway of its own."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from clients import LIBRARIES
from gateway import BINARIES, BUILTIN, REPOSITORY, Gateway, shipped, url_of
from processes import Child

CHILDREN = pytest.StashKey()
"""The processes whose output explains a failure of a test, or of the whole session."""


@dataclass(frozen=True)
class Upstream:
    """An MCP server behind the gateway, and the ticket API behind that."""

    setting: str
    api: Child | None
    """None where the API lives inside the gateway."""

    def api_log(self, gateway: Gateway) -> str:
        """What the ticket API has logged."""
        return (self.api or gateway.child).stderr


class Started:
    """Processes that live as long as the session, each started when it is first asked for."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.children = {}

    def child(self, name: str, command: list, **options) -> Child:
        if name not in self.children:
            self.children[name] = Child(name, command, self._folder, **options)
        return self.children[name]

    def api(self) -> Child:
        return self.child("api", [BINARIES / "doorward-tickets", "api", "--listen", "127.0.0.1:0"])

    def api_url(self) -> str:
        return self.api().find(r"tickets api listening on (\S+)")

    def upstream(self, kind: str) -> Upstream:
        if kind == "builtin":
            return Upstream(BUILTIN, None)
        if kind == "processes":
            command = [BINARIES / "doorward-tickets", "mcp", "--listen", "127.0.0.1:0"]
            mcp = self.child("mcp", [*command, "--api", self.api_url()])
        else:
            script = REPOSITORY / "deploy" / "tickets-fastmcp" / "server.py"
            setting = {"TICKETS_API_URL": self.api_url(), "TICKETS_LISTEN": "127.0.0.1:0"}
            mcp = self.child("fastmcp", [sys.executable, script], env=os.environ | setting)
        return Upstream(url_of(mcp.find(r"listening on (\S+/mcp)")), self.api())


@pytest.fixture(scope="session")
def started(request, tmp_path_factory):
    started = Started(tmp_path_factory.mktemp("upstreams"))
    request.session.stash[CHILDREN] = started.children
    yield started
    for child in started.children.values():
        child.end()


@pytest.fixture(scope="session", params=["builtin", "processes", "fastmcp"])
def upstream(request, started) -> Upstream:
    return started.upstream(request.param)


@pytest.fixture(params=LIBRARIES, ids=lambda library: f"{library.name}-{library.mode}")
def library(request):
    return request.param


@pytest.fixture
def gateway(request, upstream, tmp_path):
    gateway = Gateway(tmp_path, shipped(upstream.setting))
    request.node.stash[CHILDREN] = {"gateway": gateway.child}
    yield gateway
    gateway.end()


@pytest.fixture
def shipped_gateway(request, tmp_path):
    """gateway.toml as it is shipped, with the ticket server inside."""
    gateway = Gateway(tmp_path, shipped(BUILTIN))
    request.node.stash[CHILDREN] = {"gateway": gateway.child}
    yield gateway
    gateway.end()


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Shows the end of what the processes wrote where a test failed, and only there."""
    report = yield
    if report.failed:
        children = item.stash.get(CHILDREN, {}) | item.session.stash.get(CHILDREN, {})
        for name, child in children.items():
            for stream in ("stdout", "stderr"):
                report.sections.append((f"{name}, {stream}", getattr(child, stream)[-2000:]))
    return report
