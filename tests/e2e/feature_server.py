"""An MCP server with something for each thing that a gateway could break, written with FastMCP.

    python feature_server.py [PORT]

It serves both eras. What happens to it stands on standard output, one JSON object a line, so that
a test can tell which calls arrived, in whose name, and whether a cancelled one ended.
`node/feature_server.mjs` is the same server in TypeScript.
"""

import asyncio
import json
import socket
import sys

from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_http_request
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
)

mcp = FastMCP("features")

QUESTION = "What is your name?"
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
PAUSE = 0.5
"""Seconds before `count` answers: in mcp-remote an answer overtakes what came shortly before."""
PROMPT = [SamplingMessage(role="user", content=TextContent(type="text", text="Say a word."))]


def log(**line):
    print(json.dumps(line), flush=True)


def called(tool: str):
    """Every tool begins with this."""
    headers = get_http_request().headers
    log(
        tool=tool,
        trace=headers.get("traceparent"),
        user=headers.getlist("x-user-id"),
        organization=headers.getlist("x-organization-id"),
        authorization=headers.getlist("authorization"),
    )


def modern(context: Context) -> bool:
    """Whether this call came without a way back to the client."""
    return context.request_context.protocol_version >= "2026"


@mcp.tool
async def echo(text: str) -> str:
    """Answer with the same text."""
    called("echo")
    return text


@mcp.tool
async def count(n: int, context: Context) -> str:
    """Count to n, with a progress notification for each step."""
    called("count")
    for step in range(1, n + 1):
        await context.report_progress(step, n, f"step {step}")
    await asyncio.sleep(PAUSE)
    return f"counted to {n}"


@mcp.tool(output_schema=None)
async def ask(context: Context):
    """Ask the user for a name, and answer with it."""
    called("ask")
    if not modern(context):
        answer = await context.session.elicit_form(
            QUESTION, NAME, related_request_id=context.request_context.request_id
        )
    elif context.input_responses:
        answer = context.input_responses["who"]
    else:
        form = ElicitRequestFormParams(message=QUESTION, requested_schema=NAME)
        return InputRequiredResult(input_requests={"who": ElicitRequest(params=form)})
    return f"hello {answer.content['name']}"


@mcp.tool(output_schema=None)
async def sample(context: Context):
    """Ask the client's model for a word, and answer with it."""
    called("sample")
    if not modern(context):
        answer = await context.session.create_message(
            PROMPT, max_tokens=9, related_request_id=context.request_context.request_id
        )
    elif context.input_responses:
        answer = context.input_responses["word"]
    else:
        wanted = CreateMessageRequestParams(messages=PROMPT, max_tokens=9)
        return InputRequiredResult(input_requests={"word": CreateMessageRequest(params=wanted)})
    return f"the model said {answer.content.text}"


@mcp.tool
async def slow(tag: str, speak: bool, context: Context) -> str:
    """Run until cancelled; with `speak`, only after a sign of life."""
    called("slow")
    if speak:
        await context.report_progress(1, 2, "running")
    log(slow=tag, state="running")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        log(slow=tag, state="cancelled")
        raise
    return "nobody cancelled"


@mcp.tool
async def silent(seconds: float, speak: bool, context: Context) -> str:
    """Say nothing for a while, with `speak` after a sign of life, then answer."""
    called("silent")
    if speak:
        await context.report_progress(1, 2, "speaking")
    await asyncio.sleep(seconds)
    return f"silent for {seconds:g} s"


@mcp.tool
async def secret() -> str:
    """The tests let nobody call this through the gateway."""
    called("secret")
    return "the secret"


@mcp.prompt
def greet(name: str) -> str:
    """A prompt with an argument."""
    return f"Greet {name}."


@mcp.resource("note://today", mime_type="text/plain")
def today() -> str:
    """A resource."""
    return "buy milk"


def main():
    """Serves on a socket that is bound first, so that the announced port is the real one."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    log(listening=f"http://127.0.0.1:{listener.getsockname()[1]}/mcp")
    asyncio.run(
        mcp.run_http_async(
            transport="http",
            path="/mcp",
            sockets=[listener],
            show_banner=False,
            log_level="WARNING",
        )
    )


if __name__ == "__main__":
    main()
