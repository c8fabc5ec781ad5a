"""What the Python clients are put through, and how they tell what came of it.

`node/cases.mjs` is the same for the JavaScript clients; the outcomes have the same form.
"""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import fastmcp
import mcp
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StreamableHttpTransport
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.types import CreateMessageResult, TextContent
from processes import PATIENCE

NAME = {"name": "Ada"}
WORD = TextContent(type="text", text="blue")
"""What the user and the model of these clients always answer."""


@dataclass(frozen=True)
class Task:
    """One run of a client: where, as whom, what, and the files by which it follows the server."""

    url: str
    headers: dict
    cases: list
    log: Path
    """What the server writes."""
    tag: str
    """Names the slow calls of this run in that log."""
    gate: Path
    """GATE.ready is made before the server is restarted, GATE.go after it."""

    def logged(self, tag: str, state: str) -> bool:
        lines = self.log.read_text().splitlines()
        return any(f'"{tag}"' in line and f'"{state}"' in line for line in lines)


class FastMcp:
    """FastMCP's own client."""

    @asynccontextmanager
    async def connect(self, task: Task, mode: str):
        async def elicit(message, response_type, params, context):
            return ElicitResult(action="accept", content=NAME)

        async def sample(messages, params, context):
            return WORD.text

        self.client = fastmcp.Client(
            StreamableHttpTransport(task.url, headers=task.headers),
            mode=mode,
            elicitation_handler=elicit,
            sampling_handler=sample,
        )
        async with self.client:
            yield self

    async def list(self):
        return [tool.model_dump(mode="json") for tool in await self.client.list_tools()]

    async def call(self, tool, progress=None, **arguments):
        result = await self.client.call_tool(
            tool, arguments, progress_handler=progress, raise_on_error=False
        )
        content = [block.model_dump(mode="json") for block in result.content]
        return {"content": content, "data": result.data, "isError": result.is_error}

    async def prompt(self, name, /, **arguments):
        listed = [prompt.model_dump(mode="json") for prompt in await self.client.list_prompts()]
        got = await self.client.get_prompt(name, arguments)
        return [listed, got.model_dump(mode="json")]

    async def resource(self, uri):
        listed = [found.model_dump(mode="json") for found in await self.client.list_resources()]
        read = await self.client.read_resource(uri)
        return [listed, [content.model_dump(mode="json") for content in read]]


class PythonSdk:
    """The client of the official Python SDK."""

    @asynccontextmanager
    async def connect(self, task: Task, mode: str):
        async def elicit(context, params):
            return mcp.types.ElicitResult(action="accept", content=NAME)

        async def sample(context, params):
            return CreateMessageResult(role="assistant", content=WORD, model="none")

        async with create_mcp_http_client(headers=task.headers) as http:
            self.client = mcp.Client(
                streamable_http_client(task.url, http_client=http),
                mode=mode,
                elicitation_callback=elicit,
                sampling_callback=sample,
            )
            async with self.client:
                yield self

    async def list(self):
        return (await self.client.list_tools()).model_dump(mode="json")["tools"]

    async def call(self, tool, progress=None, **arguments):
        result = await self.client.call_tool(tool, arguments, progress_callback=progress)
        return result.model_dump(mode="json")

    async def prompt(self, name, /, **arguments):
        listed = await self.client.list_prompts()
        got = await self.client.get_prompt(name, arguments)
        return [listed.model_dump(mode="json"), got.model_dump(mode="json")]

    async def resource(self, uri):
        listed = await self.client.list_resources()
        read = await self.client.read_resource(uri)
        return [listed.model_dump(mode="json"), read.model_dump(mode="json")]


async def poll(what, until, patience=PATIENCE):
    """As `processes.poll`, for coroutines."""
    try:
        async with asyncio.timeout(patience):
            while not until():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {patience} s") from None


async def outcome(action) -> dict:
    try:
        return {"result": await action}
    except (Exception, asyncio.CancelledError) as error:
        code = getattr(getattr(error, "error", None), "code", None)
        # Ports differ from run to run.
        words = re.sub(r"127\.0\.0\.1:\d+", "HOST", str(error))
        return {"error": {"name": type(error).__name__, "code": code, "message": words}}


async def progress(client, task):
    steps = []

    async def on_step(done, total, message):
        steps.append({"progress": done, "total": total, "message": message})

    result = await client.call("count", on_step, n=5)
    return {"steps": steps, "result": result}


async def ignore(*_):
    """Takes notifications of progress: without a taker the server is not asked for any."""


async def cancel(client, task, speak=False):
    tag = f"{task.tag}-{speak}"
    spoken = asyncio.Event()

    async def on_step(*_):
        spoken.set()

    call = asyncio.create_task(outcome(client.call("slow", on_step, tag=tag, speak=speak)))
    await poll("the call runs", lambda: task.logged(tag, "running"))
    if speak:
        await spoken.wait()
    call.cancel()
    # Looked up while the connection is there: its end would cancel the call as well.
    await poll("the server sees the cancellation", lambda: task.logged(tag, "cancelled"), 5)
    return {"call": await call, "server": "cancelled"}


async def gone(client, task, connect):
    before = await outcome(client.call("echo", text="before"))
    task.gate.with_suffix(".ready").touch()
    await poll("the server is restarted", task.gate.with_suffix(".go").exists)
    after = await outcome(client.call("echo", text="after"))
    async with connect() as again:
        anew = await outcome(again.call("echo", text="anew"))
    return {"before": before, "after": after, "anew": anew}


CASES = {
    "list": lambda client, task: client.list(),
    "call": lambda client, task: client.call("echo", text="grüße"),
    "refused": lambda client, task: client.call("secret"),
    "progress": progress,
    "prompt": lambda client, task: client.prompt("greet", name="Ada"),
    "resource": lambda client, task: client.resource("note://today"),
    "elicitation": lambda client, task: client.call("ask"),
    "sampling": lambda client, task: client.call("sample"),
    "cancel": cancel,
    "cancel_midway": lambda client, task: cancel(client, task, speak=True),
    "silent": lambda client, task: client.call("silent", seconds=3, speak=False),
    "silent_midway": lambda client, task: client.call("silent", ignore, seconds=1.5, speak=True),
    "tickets": lambda client, task: client.call("search_tickets", query="no ticket says this"),
    "tickets_refused": lambda client, task: client.call("get_ticket", ticket_id="T-1"),
}


async def drive(library: str, mode: str, task: Task) -> dict:
    """The outcome of each case, all with one client, and its `end`."""

    def connect():
        return {"fastmcp": FastMcp, "mcp": PythonSdk}[library]().connect(task, mode)

    outcomes = {}

    async def session():
        async with connect() as client:
            for case in task.cases:
                run = gone(client, task, connect) if case == "gone" else CASES[case](client, task)
                outcomes[case] = await outcome(asyncio.wait_for(run, PATIENCE))
        return "ended"

    outcomes["end"] = await outcome(session())
    return json.loads(json.dumps(outcomes))
