"""What a caller gets who may not, and that a refusal breaks nothing."""

import mcp
import pytest
from gateway import ALICE

pytestmark = pytest.mark.anyio

INVALID_PARAMS = -32602
BAD_TOKEN = "dev-alice-tokem"


async def refusal(client, tool: str) -> mcp.types.ErrorData:
    with pytest.raises(mcp.MCPError) as raised:
        await client.call(tool, ticket_id="T-1")
    return raised.value.error


async def test_a_tool_that_is_not_allowed_looks_like_one_that_exists_nowhere(
    gateway, library, upstream
):
    async with library.connect(gateway.url, ALICE) as alice:
        before = upstream.api_log(gateway).count("ticket api request")
        hidden = await refusal(alice, "get_ticket")
        nowhere = await refusal(alice, "no_such_tool")
        assert (hidden.code, hidden.message) == (INVALID_PARAMS, "Unknown tool: get_ticket")
        renamed = {"message": hidden.message.replace("get_ticket", "no_such_tool")}
        assert nowhere.model_dump() == hidden.model_dump() | renamed
        assert upstream.api_log(gateway).count("ticket api request") == before
        assert (await alice.call("list_tickets"))["success"]


async def test_a_bad_token_connects_nowhere_and_is_told_so(gateway, library):
    with pytest.raises(Exception) as raised:
        async with library.connect(gateway.url, BAD_TOKEN) as client:
            await client.tools()
    if library.name == "fastmcp":
        assert "Unauthorized" in str(raised.value)
    else:
        # Whatever it is answered, this client only says that a task group failed.
        assert raised.group_contains(mcp.MCPError, match="Unauthorized")
    failures = gateway.count("auth_total", "result")
    assert set(failures) == {("unknown",)}
