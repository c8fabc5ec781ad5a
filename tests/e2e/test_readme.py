"""What the README says to paste, pasted."""

import json
import re
import subprocess
import sys

import pytest
from gateway import REPOSITORY
from processes import PATIENCE

README = (REPOSITORY / "README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
PRINTED = ["'create_ticket', 'list_tickets'", '"organization_id":"dev-org"']
CONFIGURATIONS = re.findall(r"\| `([.\w/]+/mcp\.json)` \| `(\{.*\})` \|$", README, re.MULTILINE)
ENDPOINT = "http://127.0.0.1:8080/mcp"


@pytest.mark.parametrize(
    ("snippet", "printed"),
    list(zip(SNIPPETS, PRINTED, strict=True)),
    ids=["fastmcp", "pydantic-ai"],
)
def test_the_snippets_run(shipped_gateway, snippet, printed):
    assert ENDPOINT in snippet
    done = subprocess.run(
        [sys.executable, "-c", snippet.replace(ENDPOINT, shipped_gateway.url)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


def test_the_configurations_of_editors_name_the_endpoint_and_a_token():
    assert {file for file, _ in CONFIGURATIONS} == {".cursor/mcp.json", ".vscode/mcp.json"}
    for file, text in CONFIGURATIONS:
        configuration = json.loads(text)
        servers = configuration.get("mcpServers") or configuration["servers"]
        server = servers["tickets"]
        assert server["url"] == ENDPOINT, file
        assert server["headers"]["Authorization"].startswith("Bearer ${"), file
