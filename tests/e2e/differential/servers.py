"""The echo servers in all their languages, and a gateway before them."""

import sys
from dataclasses import dataclass
from pathlib import Path

from feature_runs import NODE_FOLDER, install_scripts, node_command
from gateway import ON_FREE_PORTS, Gateway
from processes import Child
from readers.oracles import GO_FOLDER, JAVA_CLASSES, JAVA_FOLDER, MCP1_PYTHON

from differential.lists import GRANTED, ListServer
from differential.meaning import CASES, ORGANIZATION, TICKETS, USER, conditions
from differential.writing import LEGACY, MODERN

PYTHON_ECHO = Path(__file__).parent.parent / "readers" / "python_echo.py"
BOTH = (LEGACY, MODERN)


@dataclass(frozen=True)
class Server:
    """A server that tells what ran."""

    name: str
    command: list
    eras: tuple
    needs: Path
    is_optional: bool = False

    def is_here(self) -> bool:
        return self.needs.exists()


def python(kind: str, interpreter: Path, eras: tuple) -> Server:
    return Server(kind, [interpreter, PYTHON_ECHO, kind], eras, interpreter)


def typescript(kind: str, eras: tuple) -> Server:
    command = [*node_command(NODE_FOLDER / "echo_server.mjs"), kind]
    return Server(kind, command, eras, NODE_FOLDER / "node_modules")


def go(kind: str, eras: tuple) -> Server:
    program = GO_FOLDER / "echo-server"
    return Server(kind, [program, kind], eras, program, is_optional=True)


SERVERS = [
    python("mcp2", Path(sys.executable), BOTH),
    python("fastmcp", Path(sys.executable), BOTH),
    python("mcp1", MCP1_PYTHON, (LEGACY,)),
    typescript("sdk1", (LEGACY,)),
    typescript("sdk2", BOTH),
    go("go-sdk", BOTH),
    go("mcp-go", (LEGACY,)),
    Server(
        "java",
        ["java", "-cp", JAVA_CLASSES, "EchoServer", JAVA_FOLDER / "tomcat"],
        (LEGACY,),
        JAVA_FOLDER / "installed.txt",
        is_optional=True,
    ),
]
RMCP = Server("rmcp", [], BOTH, Path(sys.executable))
"""The ticket server, which other tests start, too."""


def configuration(urls: dict) -> str:
    """All upstreams in one gateway, each with the same grants and conditions."""
    upstreams = "".join(
        f'[upstreams.{name}]\npath = "/{name}"\nurl = "{url}"\n' for name, url in urls.items()
    )
    tools = ", ".join(f'"*/{tool}"' for tool in [*CASES, *TICKETS, *GRANTED])
    prompts = ", ".join(f'"*/{prompt}"' for prompt in ["greet", *GRANTED])
    resources = ", ".join(f'"*/note://{host}/*"' for host in ["open", *GRANTED])
    role = f"[roles.r]\ntools = [{tools}]\nprompts = [{prompts}]\nresources = [{resources}]\n"
    token = (
        '[tokens.t]\nsha256 = "295db0545046da79fb81ee057c7054213df2e3dc2a9a83e5e13e65398596d3e2"\n'
        f'user = "{USER}"\norganization = "{ORGANIZATION}"\nroles = ["r"]\nexpires = "never"\n'
    )
    return "\n".join([ON_FREE_PORTS, upstreams, role, token, conditions()])


class Site:
    """Every server that is here, and the gateway; `end` ends them."""

    def __init__(self, folder: Path, tickets_url: str):
        install_scripts()
        self.servers = [server for server in SERVERS if server.is_here()]
        self.children = {s.name: Child(s.name, s.command, folder) for s in self.servers}
        pattern = r'"listening": ?"(\S+)"'
        urls = {name: child.find(pattern) for name, child in self.children.items()}
        self.servers.append(RMCP)
        self.lists = ListServer()
        urls |= {"rmcp": tickets_url, "lists": self.lists.url}
        self.gateway = Gateway(folder, configuration(urls))
        self.children["gateway"] = self.gateway.child

    def url(self, upstream: str) -> str:
        """Where clients of the gateway find the server."""
        return self.gateway.url.rsplit("/", 1)[0] + f"/{upstream}"

    def end(self):
        self.gateway.end()
        self.lists.end()
        for child in self.children.values():
            child.end()
