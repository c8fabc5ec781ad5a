"""Metrics and audit tell exactly what happened, and never a token."""

import shutil
import subprocess

import pytest
from clients import ToolFailed, Wire
from gateway import AI_DEV, ALICE, TOKENS
from mcp import MCPError

pytestmark = pytest.mark.anyio

BAD_TOKEN = "a-token-that-nobody-was-given"


async def work(gateway, library) -> Wire:
    """A little of everything; what the HTTP library of the client saw of it."""
    wire = Wire()
    async with library.connect(gateway.url, ALICE, wire) as alice:
        await alice.tools()
        for _ in range(3):
            await alice.call("create_ticket", title="Cable", description="")
        await alice.call("list_tickets")
        with pytest.raises(ToolFailed):
            await alice.call("list_tickets", page_size=101)
        for tool in ("get_ticket", "get_ticket", "no_such_tool"):
            with pytest.raises(MCPError):
                await alice.call(tool, ticket_id="T-1")
    async with library.connect(gateway.url, AI_DEV, wire) as ai_dev:
        created = await ai_dev.call("create_ticket", title="Cable", description="")
        await ai_dev.call("get_ticket", ticket_id=created["ticket"]["id"])
        await ai_dev.call("search_tickets", query="cable")
    return wire


CALLS = {
    ("create_ticket", "ok"): 4,
    ("get_ticket", "denied"): 2,
    ("get_ticket", "ok"): 1,
    ("list_tickets", "ok"): 1,
    ("list_tickets", "tool_error"): 1,
    ("other", "denied"): 1,
    ("search_tickets", "ok"): 1,
}
"""The tool calls of `work`. A name that exists nowhere is no label: callers could make up many."""


async def test_metrics_count_exactly_the_calls_that_were_made(gateway, library):
    await work(gateway, library)
    assert gateway.settled("tool_calls_total", ("tool", "outcome"), CALLS) == CALLS


async def test_the_audit_has_one_record_for_each_request(gateway, library):
    wire = await work(gateway, library)
    gateway.settled("tool_calls_total", ("tool", "outcome"), CALLS)
    counted = sum(gateway.count("requests_total", "method").values())
    gateway.end()
    records = gateway.records()
    assert len(records) == counted
    ids = [record["request_id"] for record in records]
    assert len(set(ids)) == len(ids)
    assert wire.request_ids <= set(ids)
    assert wire.posts == sum(record["method"] not in ("GET", "DELETE") for record in records)
    denied = [record for record in records if record["decision"] == "deny"]
    assert [(r["user"], r["token"], r["tool"], r["reason"]) for r in denied] == [
        ("alice", "dev-alice", "get_ticket", "no_match"),
        ("alice", "dev-alice", "get_ticket", "no_match"),
        ("alice", "dev-alice", "no_such_tool", "no_match"),
    ]


async def test_no_token_is_ever_written(gateway, library):
    await work(gateway, library)
    with pytest.raises(Exception):
        async with library.connect(gateway.url, BAD_TOKEN) as client:
            await client.tools()
    exposition = gateway.exposition()
    gateway.end()
    written = [gateway.child.stdout, gateway.child.stderr, exposition]
    assert all(written)
    for token in (*TOKENS, BAD_TOKEN):
        assert not any(token in text for text in written)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
async def test_promtool_finds_nothing_to_say_about_the_metrics(gateway, library):
    await work(gateway, library)
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=gateway.exposition(), text=True, capture_output=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
