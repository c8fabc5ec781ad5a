"""The echo server with each Python SDK: its tools tell what they were called with.

    python python_echo.py (mcp1 | mcp2 | fastmcp)

The same tools stand in node/echo_server.mjs, go/echo-server and java/EchoServer.java; what is
granted and asked of their arguments is in differential/meaning.py.
"""

import asyncio
import functools
import json
import socket
import sys

import uvicorn
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Filter(BaseModel):
    """As MCP's own models are: both spellings are taken, and camelCase wins."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    org_id: str


def ran(name, **saw) -> str:
    return json.dumps({"ran": name, "saw": saw})


def who(user_id: str) -> str:
    return ran("who", user_id=user_id)


def count(n: int) -> str:
    return ran("count", n=n)


def least(n: int) -> str:
    return ran("least", n=n)


def most(n: int) -> str:
    return ran("most", n=n)


def share(x: float) -> str:
    return ran("share", x=x)


def word(word: str | None) -> str:
    return ran("word", word=word)


def level(level: list[str] | str) -> str:
    return ran("level", level=level)


def file(path: str) -> str:
    return ran("file", path=path)


def nested(filter: Filter) -> str:
    return ran("nested", org_id=filter.org_id)


def flag(text: str = "", is_admin: bool = False) -> str:
    return ran("flag", is_admin=is_admin)


def secret(text: str = "") -> str:
    return ran("secret")


def greet(name: str = "") -> str:
    return ran("greet")


def hidden_prompt(name: str = "") -> str:
    return ran("hidden_prompt")


def note(host: str, path: str) -> str:
    return ran("note", host=host, path=path)


TOOLS = [who, count, least, most, share, word, level, file, nested, flag, secret]


def filled(server, has_versions=False):
    """Everything that a server has, added with its decorators."""
    for tool in TOOLS:
        if has_versions:
            server.tool(name=tool.__name__, version="1.0")(older(tool))
            server.tool(name=tool.__name__, version="2.0")(tool)
        else:
            server.tool()(tool)
    for prompt in (greet, hidden_prompt):
        server.prompt()(prompt)
    server.resource("note://{host}/{path}")(note)
    return server


def older(tool):
    """What the tool was before; callers are shown the newest, and `_meta` can ask for this one."""

    @functools.wraps(tool)
    def old(**saw) -> str:
        return ran(f"the old {tool.__name__}")

    return old


def mcp1():
    from mcp.server.fastmcp import FastMCP

    return filled(FastMCP("echo", log_level="CRITICAL")).streamable_http_app()


def mcp2():
    from mcp.server.mcpserver import MCPServer

    return filled(MCPServer("echo", log_level="CRITICAL")).streamable_http_app()


def fastmcp():
    from fastmcp import FastMCP

    return filled(FastMCP("echo"), has_versions=True).http_app(path="/mcp")


async def main(kind):
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(
        json.dumps({"listening": f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"}), flush=True
    )
    config = uvicorn.Config(globals()[kind](), log_level="critical", access_log=False)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
