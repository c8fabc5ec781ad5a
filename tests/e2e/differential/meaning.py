"""What is granted, what must hold for arguments, and what that plainly means for what a server saw.

Each case is a tool (or a prompt, a resource) with arguments that pass, and the argument that a
condition is about with values beside what is meant. A handler tells what ran and what it saw; that
must be granted, and `holds` must be true of it: of the value after the server's own decoding.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from readers.worlds import resolved

from differential.writing import Raw

USER, ORGANIZATION = "alice", "acme"


VALUES = json.loads((Path(__file__).parent / "values.json").read_text())
"""What the generator chooses from."""


def odd(name: str) -> list:
    """Values for an argument; some are given as the JSON text that is to be written."""
    raws = [Raw(text) for text in VALUES.get(f"{name}, as JSON", [])]
    return VALUES.get(name, []) + raws


@dataclass(frozen=True)
class Case:
    """Calls of one tool."""

    arguments: dict
    pointer: str = ""
    condition: str = ""
    """As the configuration writes it."""
    holds: Callable = lambda saw: True
    odd: list = field(default_factory=list)
    """Values for the argument that the condition is about; some of them are meant."""

    @property
    def argument(self) -> list:
        """The names on the way to the argument."""
        return self.pointer.split("/")[1:]


CASES = {
    "who": Case(
        {"user_id": USER},
        "/user_id",
        "equals_user = true",
        lambda saw: saw["user_id"] == USER,
        odd("ids"),
    ),
    "count": Case(
        {"n": 5}, "/n", "min = 1, max = 10", lambda saw: 1 <= saw["n"] <= 10, odd("numbers")
    ),
    "least": Case({"n": 12}, "/n", "min = 10", lambda saw: saw["n"] >= 10, odd("numbers")),
    "most": Case({"n": 2}, "/n", "max = 10", lambda saw: saw["n"] <= 10, odd("numbers")),
    "share": Case({"x": 3}, "/x", "not_in = [7]", lambda saw: saw["x"] != 7, odd("numbers")),
    "word": Case(
        {"word": "abc"},
        "/word",
        'regex = "[a-z]+"',
        lambda saw: isinstance(saw["word"], str) and re.fullmatch("[a-z]+", saw["word"]),
        odd("words"),
    ),
    "level": Case(
        {"level": "low"},
        "/level",
        'not_in = ["admin", "urgent"]',
        lambda saw: not {"admin", "urgent"} & {folded(each) for each in listed(saw["level"])},
        odd("levels"),
    ),
    "file": Case(
        {"path": "/pub/a"},
        "/path",
        'glob = "/pub/**"',
        lambda saw: is_in_pub(saw["path"]),
        odd("paths"),
    ),
    "nested": Case(
        {"filter": {"org_id": ORGANIZATION}},
        "/filter/org_id",
        "equals_organization = true",
        lambda saw: saw["org_id"] == ORGANIZATION,
        odd("organizations"),
    ),
    "flag": Case(
        {"text": "x"},
        "/is_admin",
        "absent = true",
        lambda saw: not saw["is_admin"],
        odd("flags"),
    ),
}
"""The tools that are granted; beside them every server has `secret`."""

TICKETS = {
    "list_tickets": Case(
        {"page_size": 5},
        "/page_size",
        "min = 1, max = 10",
        lambda saw: 1 <= saw["page_size"] <= 10,
        odd("numbers"),
    ),
    "create_ticket": Case(
        {"title": "x", "description": "y", "priority": "low"},
        "/priority",
        'not_in = ["urgent"]',
        lambda saw: folded(saw["priority"]) != "urgent",
        odd("priorities"),
    ),
}
"""The tools of the ticket server that are granted, with rmcp; `whoami` and others are not."""

OPEN = "note://open/"
"""Where the resources begin that are granted; `note://secret/key` and `hidden_prompt` are not."""


def folded(text) -> str:
    """As a reader may compare that minds neither case nor blanks nor what is not seen."""
    plain = unicodedata.normalize("NFKC", str(text)).casefold()
    return "".join(c for c in plain if unicodedata.category(c) not in ("Cf", "Cc", "Zs"))


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def is_in_pub(path: str) -> bool:
    where = resolved(path)
    return path.startswith("/") and bool(where) and where[0] == "pub"


def conditions() -> str:
    """The part of the configuration about arguments, whatever the upstream is called."""
    lines = []
    for tool, case in (CASES | TICKETS).items():
        lines.append(
            f'[tools."*/{tool}"]\narguments.{json.dumps(case.pointer)} = {{ {case.condition} }}'
        )
    return "\n".join(lines)


def is_meant(ran: str, saw: dict) -> bool:
    """Whether this may have run with these arguments."""
    if ran == "note":
        return saw.get("host", "open") == "open" and saw.get("uri", OPEN).startswith(OPEN)
    if ran not in CASES | TICKETS:
        return ran == "greet"
    try:
        return bool((CASES | TICKETS)[ran].holds(saw))
    except (KeyError, TypeError, AttributeError):
        return False  # it ran without the argument, or with another kind of value
