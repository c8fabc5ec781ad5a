"""Requests as text: objects whose members have an order and may come twice, escapes, bytes."""

import json
import random
from dataclasses import dataclass

LEGACY, MODERN = "2025-11-25", "2026-07-28"


@dataclass(frozen=True)
class Raw:
    """A JSON text that is written as it stands."""

    text: str


class Pairs(list):
    """An object with its members in order, of which several may have one name."""


@dataclass(frozen=True)
class Sent:
    """A request as it is sent, and the tool, prompt or resource that it started from."""

    kind: str
    headers: list
    body: bytes


class Writer:
    """Writes JSON with blanks and escapes as they come."""

    def __init__(self, numbers: random.Random):
        self._random = numbers

    def write(self, value) -> str:
        blank = self._random.choice(("", "", "", " ", "\n\t"))
        if isinstance(value, Raw):
            return value.text
        if isinstance(value, Pairs):
            members = (f"{self._text(k)}{blank}:{blank}{self.write(v)}" for k, v in value)
            return "{" + blank + f",{blank}".join(members) + "}"
        if isinstance(value, list):
            return "[" + ",".join(self.write(each) for each in value) + "]"
        return self._text(value)

    def _text(self, text: str) -> str:
        share = self._random.choice((0, 0, 0, 0.3, 1))
        return '"' + "".join(escaped(c, self._random.random() < share) for c in text) + '"'


def escaped(char: str, always: bool) -> str:
    if always or char in '"\\' or char < " ":
        units = char.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
    return char


def pairs(value):
    """The same with `Pairs` for objects and `Raw` for numbers."""
    if isinstance(value, dict):
        return Pairs((name, pairs(inner)) for name, inner in value.items())
    return value if isinstance(value, str) else Raw(json.dumps(value))


def put(at: Pairs, name: str, value):
    """Sets the member, where there is one; else adds it."""
    for i, (key, _) in enumerate(at):
        if key == name:
            at[i] = (name, value)
            return
    at.append((name, value))


def meta() -> Pairs:
    """What a request of the modern era has to say of itself."""
    info = Pairs([("name", "differential"), ("version", "1")])
    prefix = "io.modelcontextprotocol/"
    return Pairs(
        [
            (f"{prefix}protocolVersion", MODERN),
            (f"{prefix}clientInfo", info),
            (f"{prefix}clientCapabilities", Pairs()),
        ]
    )


def listing(kind: str, era: str) -> Sent:
    """A request for a list."""
    headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", era)]
    params = Pairs()
    if era == MODERN:
        params.append(("_meta", meta()))
        headers.append(("Mcp-Method", f"{kind}/list"))
    envelope = [
        ("jsonrpc", "2.0"),
        ("id", Raw("1")),
        ("method", f"{kind}/list"),
        ("params", params),
    ]
    return Sent(kind, headers, Writer(random.Random(1)).write(Pairs(envelope)).encode())


ENCODINGS = [
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body.decode("utf-8", "replace").encode("utf-16"),
    lambda body: body.decode("utf-8", "replace").encode("utf-16-be"),
    lambda body: body + b"\n",
    lambda body: body + b"{}",
    lambda body: b"[" + body + b"]",
    lambda body: b"/**/" + body,
    lambda body: body[:-1] + b",}",
    lambda body: body.replace(b'"', b"'", 2),
    lambda body: body.replace(b":", b":\xc0\xa0", 1),
    lambda body: body + b"\x00",
    lambda body: b" \r\n" + body,
]
