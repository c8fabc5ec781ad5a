"""Connections that stay open, each with a session of its own, and what is told on them."""

import json
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from differential.writing import LEGACY, Sent

TOKEN = "dev-alice-token"
ACCEPT = "application/json, text/event-stream"


class Caller:
    """Somebody who speaks to one server through the gateway, in one era."""

    def __init__(self, url: str, era: str, has_session=True):
        self._where = urlsplit(url)
        self._era = era
        self._connection = None
        self._session = None
        if era == LEGACY and has_session:
            self._open_session()

    def tell(self, sent: Sent) -> str:
        """The body of the answer to a request."""
        status, told = self._post(sent.headers, sent.body)
        if status == 404 and self._session:
            self._open_session()
        return told

    def _open_session(self):
        self._session = None
        client = {"name": "differential", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        opened = self._say({"id": 1, "method": "initialize", "params": params})
        assert answer(opened)["result"]["protocolVersion"] == LEGACY, opened
        self._say({"method": "notifications/initialized"})

    def _say(self, message: dict) -> str:
        body = json.dumps({"jsonrpc": "2.0"} | message).encode()
        headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", LEGACY)]
        return self._post(headers, body)[1]

    def _post(self, headers: list, body: bytes) -> tuple:
        try:
            return self._post_once(headers, body)
        except (HTTPException, ConnectionError):
            # It was closed behind the answer before.
            self._connection = None
            return self._post_once(headers, body)

    def _post_once(self, headers: list, body: bytes) -> tuple:
        if self._connection is None:
            self._connection = HTTPConnection(self._where.hostname, self._where.port, timeout=30)
        self._connection.putrequest("POST", self._where.path, skip_accept_encoding=True)
        ours = [
            ("Authorization", f"Bearer {TOKEN}"),
            ("Accept", ACCEPT),
            ("Content-Length", str(len(body))),
        ]
        if self._session:
            ours.append(("Mcp-Session-Id", self._session))
        for name, value in [*ours, *headers]:
            self._connection.putheader(name, value.encode("utf-8"))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        told = response.read().decode("utf-8", "replace")
        self._session = response.headers.get("Mcp-Session-Id", self._session)
        return response.status, told


def answer(told: str) -> dict | None:
    """The last message of a body that is one message, or a stream of events with messages."""
    told = told.removeprefix("\ufeff")
    if not told.lstrip().startswith("{"):
        events = told.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
        messages = [
            "\n".join(line[5:] for line in e.split("\n") if line[:5] == "data:") for e in events
        ]
        told = next((message for message in reversed(messages) if message.strip()), "null")
    message = json.loads(told)
    return message if isinstance(message, dict) else None


def ran(message: dict | None) -> tuple | None:
    """What ran and what it saw, by the answer of an echo server or of the ticket server."""
    result = (message or {}).get("result")
    if not isinstance(result, dict) or result.get("isError"):
        return None
    for text in texts(result):
        try:
            told = json.loads(text)
        except ValueError:
            continue
        if isinstance(told, dict) and "ran" in told:
            return told["ran"], told["saw"] or {}
        if isinstance(told, dict) and told.get("success"):
            return ticket(told)
    return None


def texts(result: dict):
    """Every text of a result of a tool, a prompt or a resource."""
    for content in result.get("content", []) + result.get("contents", []):
        yield content.get("text", "")
    for message in result.get("messages", []):
        yield message["content"].get("text", "")


def ticket(told: dict) -> tuple:
    """What the ticket server did, by what it answered."""
    if "ticket" in told:
        return "create_ticket", told["ticket"]
    return ("list_tickets" if "page_size" in told else "another tool"), told
