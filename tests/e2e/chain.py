"""The whole system of the seed as processes: chat, gateway, ticket MCP server, ticket API, database."""

import os
import re
import sqlite3
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import httpx2
from gateway import AI_DEV, ALICE, BINARIES, REPOSITORY, Gateway, shipped, url_of
from postgres import Postgres
from processes import Child

AGENT = REPOSITORY / "deploy" / "agent"
FASTMCP = REPOSITORY / "deploy" / "tickets-fastmcp" / "server.py"
ANYWHERE = "127.0.0.1:0"

ORGANIZATION = {ALICE: "dev-org", AI_DEV: "20a8aae5-ec85-42a9-b025-45ee32a2f9a1"}
USER = {ALICE: "alice", AI_DEV: "9cdd4c6c-a65d-464b-b3ba-64e6781fba2b"}
THREAD = "4aba8e44-6900-4c76-8b33-f8b96ca0e75b"
"""The thread of the seed; it stays the same token's in every test."""


class SqliteFile:
    """The embedded database, in a file."""

    def __init__(self, folder: Path):
        self._file = folder / "tickets.db"
        self.options = {"arguments": ["--database", self._file], "env": {}}

    def tickets(self) -> list:
        """(title, created_by, organization_id) of every row."""
        with sqlite3.connect(self._file) as database:
            return database.execute(
                "SELECT title, created_by, organization_id FROM tickets"
            ).fetchall()

    def end(self):
        pass


@dataclass(frozen=True)
class Answer:
    """What the chat application said."""

    status: int
    headers: dict
    body: dict

    @property
    def tools(self) -> list:
        return [tool["name"] for tool in self.body["tools_used"]]


class Chain:
    """Every part, started in the order in which they need each other."""

    def __init__(self, folder: Path, mcp: str, database: str):
        self.database = SqliteFile(folder) if database == "sqlite" else Postgres(folder)
        self.children = {}
        store = self.database.options
        api = [BINARIES / "doorward-tickets", "api", "--listen", ANYWHERE, *store["arguments"]]
        self._start("api", api, folder, env=os.environ | store["env"])
        api_url = self.children["api"].find(r"tickets api listening on (\S+)")
        if mcp == "rust":
            command = [BINARIES / "doorward-tickets", "mcp", "--listen", ANYWHERE, "--api", api_url]
            self._start("mcp", command, folder)
        else:
            setting = {"TICKETS_API_URL": api_url, "TICKETS_LISTEN": ANYWHERE}
            self._start("mcp", [sys.executable, FASTMCP], folder, env=os.environ | setting)
        mcp_url = self.children["mcp"].find(r"listening on (\S+/mcp)")
        self.health = [f"{api_url}/health", f"{mcp_url.removesuffix('mcp')}health"]
        self.gateway = Gateway(folder, shipped(url_of(mcp_url)))
        self.children["gateway"] = self.gateway.child
        command = [
            sys.executable,
            "-m",
            "chat",
            "--listen",
            ANYWHERE,
            "--gateway",
            self.gateway.url,
        ]
        self._start("chat", [*command, "--database", folder / "threads.db"], folder, cwd=AGENT)
        self.chat_url = self.children["chat"].find(r"chat listening on (\S+)")
        self.health += [f"{self.chat_url}/health", f"http://{self.gateway.admin}/readyz"]

    def _start(self, name: str, command: list, folder: Path, **options):
        self.children[name] = Child(name, command, folder, **options)

    def logs(self) -> dict:
        """What each service has written, on both streams."""
        return {name: child.stdout + child.stderr for name, child in self.children.items()}

    def api_requests(self) -> int:
        """How many requests have reached the last service before the database."""
        return self.children["api"].stderr.count("ticket api request")

    def end(self):
        for name in ("chat", "gateway", "mcp", "api"):
            self.children[name].end()
        self.database.end()


class Chat:
    """A caller of the chat application; follows no redirect, and keeps every status."""

    def __init__(self, chain: Chain, token: str):
        self.token = token
        self._url = f"{chain.chat_url}/api/v1/chat"
        self.http = httpx2.AsyncClient(timeout=60, follow_redirects=False, trust_env=False)
        self.statuses = set()

    async def say(self, content: str, thread=THREAD, organization=None, headers=None) -> Answer:
        body = {"content": content, "message_type": "user"}
        return await self._ask("POST", thread, organization, headers, json=body)

    async def read(self, thread=THREAD, organization=None) -> Answer:
        return await self._ask("GET", thread, organization, None)

    async def _ask(self, method, thread, organization, headers, **options) -> Answer:
        organization = organization or ORGANIZATION[self.token]
        url = f"{self._url}/{organization}/threads/{thread}/messages"
        headers = {"Authorization": f"Bearer {self.token}"} | (headers or {})
        answer = await self.http.request(method, url, headers=headers, **options)
        self.statuses.add(answer.status_code)
        return Answer(answer.status_code, dict(answer.headers), answer.json())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.http.aclose()
        assert not any(300 <= status < 400 for status in self.statuses), self.statuses


def new_thread() -> str:
    return str(uuid.uuid4())


def calls_recorded(gateway: Gateway) -> list:
    """(user, tool, decision) of every tools/call in the audit records so far."""
    return [
        (record.get("user"), record.get("tool"), record["decision"])
        for record in gateway.records()
        if record.get("method") == "tools/call"
    ]


ERRORS = re.compile(
    r"ERROR.*TaskGroup|ERROR.*unhandled errors|ERROR.*MCP.*failed|❌|CRITICAL"
    r"|Exception.*not caught|Traceback.*most recent call|ERROR.*authentication|ERROR.*tool.*call"
    r"|Connection.*refused|Connection.*reset|Connection.*timeout|Unable to connect"
    r"|HTTP.*50[0-9]|307.*Temporary Redirect|exception was never retrieved",
    re.IGNORECASE,
)
"""The error patterns of the seed, and asyncio's own."""
