"""What servers of the Python SDKs serve for a URI; runs in the environment of each of them.

    python python_uris.py (mcp1 | mcp2 | fastmcp) WORLDS.json <uris >answers

A line in is [WORLD, URI], a line out is what each reader makes of it (see uri_readers.py).
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit


def components(parts, path) -> dict:
    """What `urlsplit` and pydantic call the parts of a URL."""
    return {
        "scheme": parts.scheme,
        "host": (parts.hostname if hasattr(parts, "hostname") else parts.host) or "",
        "port": str(parts.port or ""),
        "path": path or "",
        "query": parts.query or "",
    }


def mcp1(world):
    """mcp 1.x: what it reads is a pydantic AnyUrl before anything else sees it."""
    from mcp.server.fastmcp import FastMCP
    from mcp.types import ReadResourceRequestParams

    server = FastMCP("uris", log_level="CRITICAL")
    add_all(server, world, "segments")
    manager = server._resource_manager

    async def read(uri):
        try:
            url = ReadResourceRequestParams(uri=uri).uri
        except ValueError:
            return {}
        answers = {"AnyUrl": {"url": components(url, url.path)}}
        try:
            resource = await manager.get_resource(url)
            answers["mcp 1"] = json.loads(await resource.read())
        except ValueError:
            pass
        return answers

    return read


def mcp2(world):
    """mcp 2.x."""
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

    server = MCPServer("uris", log_level="CRITICAL")
    add_all(server, world, "rfc6570")
    manager = server._resource_manager
    context = Context(mcp_server=server, subscriptions=server._subscriptions)

    async def read(uri):
        answers = {}
        try:
            parts = urlsplit(uri)
            answers["urllib.parse"] = {"url": components(parts, parts.path)}
        except ValueError:
            pass
        try:
            resource = await manager.get_resource(uri, context)
            answers["mcp 2"] = json.loads(await resource.read()) | {"decoded": True}
        except (ResourceError, ResourceNotFoundError):
            pass
        return answers

    return read


def fastmcp(world):
    """FastMCP, and a server of it that is mounted in another: there an AnyUrl comes between."""
    from fastmcp import FastMCP
    from pydantic import AnyUrl, ValidationError

    server = FastMCP("uris")
    add_all(server, world, "wildcards")
    provider = server.local_provider

    async def look_up(uri):
        if resource := await provider.get_resource(uri):
            return {"name": resource.name, "vars": {}}
        template = await provider.get_resource_template(uri)
        if template is None:
            return None
        found = template.matches(uri)
        security = template.resolve_security(server._resource_security)
        if security is not None and security.validate(found) is not None:
            return None
        return {"name": template.name, "vars": found, "decoded": True}

    async def read(uri):
        answers = {"fastmcp": await look_up(uri)}
        try:
            answers["fastmcp, mounted"] = await look_up(str(AnyUrl(uri)))
        except ValidationError:
            pass
        return {reader: answer for reader, answer in answers.items() if answer}

    return read


def add_all(server, world, dialect):
    """Adds what the world has to a server; each function tells what it was called with."""
    for uri in world["fixed"]:
        server.resource(uri, name=uri)(reporter(uri, ""))
    for name, templates in world[dialect].items():
        for template in [templates] if isinstance(templates, str) else templates:
            names = [part.split("}")[0].strip("+*") for part in template.split("{")[1:]]
            server.resource(template, name=name)(reporter(name, ", ".join(names)))


def reporter(name, parameters):
    """A function with these parameters, as the SDKs want to see them in its signature."""
    scope = {"json": json}
    told = "{" + ", ".join(f"{p!r}: {p}" for p in parameters.split(", ") if p) + "}"
    source = f"async def f({parameters.replace(',', ': str,') + (': str' if parameters else '')}):"
    exec(f"{source}\n return json.dumps({{'name': {name!r}, 'vars': {told}}})", scope)
    return scope["f"]


async def main(reader, file):
    with open(file) as text:
        worlds = {key: reader(world) for key, world in json.load(text).items()}
    for line in sys.stdin:
        key, uri = json.loads(line)
        print(json.dumps(await worlds[key](uri)))


if __name__ == "__main__":
    asyncio.run(main(globals()[sys.argv[1]], sys.argv[2]))
