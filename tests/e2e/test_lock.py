"""Tools as they were approved, with real clients in front of a server that changes its mind."""

import subprocess
import sys
from pathlib import Path

import mcp
import pytest
from gateway import ALICE, BINARIES, ON_FREE_PORTS, Gateway, url_of
from processes import Child, poll

pytestmark = pytest.mark.anyio

SERVER = Path(__file__).with_name("changing_server.py")

CONFIGURATION = """
[upstreams.changing]
path = "/mcp"
{url}

[roles.everything]
tools = ["changing/*"]

[tokens.alice]
sha256       = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"
user         = "alice"
organization = "dev-org"
roles        = ["everything"]
expires      = "never"

[lock]
file = "tools.lock"
"""


class Site:
    """The server, and a gateway before it that has approved its tools."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.server = self._serve("0", "before")
        self._port = self.server.find(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")
        url = url_of(f"http://127.0.0.1:{self._port}/mcp")
        self._config = ON_FREE_PORTS + CONFIGURATION.format(url=url)
        (folder / "gateway.toml").write_text(self._config)
        assert self.lock().returncode == 0
        self.gateway = Gateway(folder, self._config)

    def _serve(self, port: str, version: str) -> Child:
        return Child(version, [sys.executable, SERVER, port, version], self._folder)

    def change(self):
        self.server.end()
        self.server = self._serve(self._port, "after")
        self.server.find(r"(Uvicorn running)")

    def lock(self, *arguments) -> subprocess.CompletedProcess:
        command = [BINARIES / "doorward", "lock", *arguments]
        config = ["--config", self._folder / "gateway.toml"]
        return subprocess.run([*command, *config], capture_output=True, text=True, timeout=60)

    def end(self):
        self.gateway.end()
        self.server.end()


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path)
    yield site
    site.end()


async def test_what_a_server_says_anew_of_its_tools_reaches_nobody_unapproved(site, library):
    async with library.connect(site.gateway.url, ALICE) as alice:
        assert await alice.tools() == {"echo", "add"}
    site.change()
    async with library.connect(site.gateway.url, ALICE) as alice:
        assert await alice.tools() == {"echo"}
        with pytest.raises(mcp.MCPError, match="Unknown tool: purge"):
            await alice.call("purge")
    assert site.gateway.count("tools_changed", "change") == {
        ("new",): 1,
        ("text",): 1,
        ("widened",): 1,
    }
    checked = site.lock("--check")
    assert checked.returncode == 1
    assert "  ~ add  text, widened\n" in checked.stdout
    assert "  + purge  new\n" in checked.stdout
    # Approved, they are there without a restart.
    assert site.lock().returncode == 0
    poll("the lock is taken", lambda: '"config.loaded"' in site.gateway.child.stderr)
    async with library.connect(site.gateway.url, ALICE) as alice:
        assert await alice.tools() == {"echo", "add", "purge"}
