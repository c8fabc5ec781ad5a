"""A real Prometheus scrapes the gateway, and tells which calls were made."""

import json
import os
import shutil
import urllib.parse
import urllib.request

import fastmcp
import pytest
from conftest import CHILDREN
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from gateway import ALICE
from mcp import MCPError
from processes import Child, poll

pytestmark = pytest.mark.anyio

CONFIGURATION = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
  - job_name: doorward
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """Debian's server, on a free port."""

    def __init__(self, folder, target: str):
        config = folder / "prometheus.yml"
        config.write_text(CONFIGURATION.format(target=target))
        command = ["prometheus", "--config.file", config, "--storage.tsdb.path", folder / "tsdb"]
        command += ["--web.listen-address", "127.0.0.1:0"]
        self.child = Child("prometheus", command, folder)
        self._address = self.child.find(r'msg="Listening on" address=(\S+)')

    def query(self, expression: str) -> dict:
        """The values of an instant query, by their labels in the order of their names."""
        query = urllib.parse.urlencode({"query": expression})
        url = f"http://{self._address}/api/v1/query?{query}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        return {
            tuple(label for _, label in sorted(sample["metric"].items())): float(sample["value"][1])
            for sample in said["data"]["result"]
        }


@pytest.fixture
def prometheus(request, shipped_gateway, tmp_path):
    if shutil.which("prometheus") is None:
        if os.environ.get("CI"):
            pytest.fail("prometheus is not installed")
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    prometheus = Prometheus(tmp_path, shipped_gateway.admin)
    request.node.stash[CHILDREN]["prometheus"] = prometheus.child
    yield prometheus
    prometheus.child.end()


async def test_prometheus_tells_the_calls_by_tool_and_outcome(shipped_gateway, prometheus):
    async with fastmcp.Client(StreamableHttpTransport(shipped_gateway.url, auth=ALICE)) as client:
        for _ in range(3):
            await client.call_tool("list_tickets")
        await client.call_tool("whoami")
        with pytest.raises(ToolError):
            await client.call_tool("list_tickets", {"page": 0})
        with pytest.raises(MCPError):
            await client.call_tool("get_ticket", {"ticket_id": "T-1"})
    expected = {
        ("ok", "list_tickets"): 3,
        ("ok", "whoami"): 1,
        ("tool_error", "list_tickets"): 1,
        ("denied", "get_ticket"): 1,
    }
    expression = "sum by (outcome, tool) (doorward_tool_calls_total) > 0"
    counted = {}

    def scraped() -> bool:
        counted.clear()
        counted.update(prometheus.query(expression))
        return counted == expected

    try:
        poll("Prometheus has scraped the calls", scraped, 10)
    except AssertionError:
        pass  # the comparison shows both sides
    assert counted == expected
    assert prometheus.query("up") and set(prometheus.query("up").values()) == {1.0}
