"""Requests as hostile and careless clients write them: each begins as one that passes."""

import json
import random
from dataclasses import dataclass, field

from differential.meaning import CASES, TICKETS, VALUES, Case
from differential.writing import ENCODINGS, MODERN, Pairs, Raw, Sent, Writer, meta, pairs, put

BAD = {"user_id": "bob", "org_id": "other", "is_admin": Raw("true"), "n": Raw("99"), "x": Raw("7")}
BAD |= {"word": "A B", "level": "admin", "path": "/etc/passwd", "page_size": Raw("99")}
BAD |= {"priority": "urgent"}
"""What must not get through under another spelling of the name."""


@dataclass
class Draft:
    """A request before it is written."""

    kind: str
    envelope: Pairs
    params: Pairs
    arguments: Pairs
    case: Case | None
    headers: list
    encode: list = field(default_factory=list)
    """What is done to the bytes at last."""


class Bodies:
    """A generator that gives the same requests for the same number."""

    def __init__(self, seed, has_tickets: bool):
        self._random = random.Random(seed)
        self._writer = Writer(self._random)
        self._cases = TICKETS if has_tickets else CASES
        self._hidden = "whoami" if has_tickets else "secret"
        self.kinds = list(self._cases) if has_tickets else [*self._cases, "greet", "note"]

    def next(self, era: str) -> Sent:
        draft = self._begin(self._random.choice(self.kinds), era)
        for _ in range(self._random.choice((0, 0, 1, 1, 1, 1, 2, 3))):
            step = self._random.choice(self._steps(draft))
            step(self, draft)
        body = self._writer.write(draft.envelope).encode("utf-8", "surrogatepass")
        for change in draft.encode:
            body = change(body)
        return Sent(draft.kind, draft.headers, body)

    def _begin(self, kind: str, era: str) -> Draft:
        case = self._cases.get(kind)
        arguments = pairs(case.arguments) if case else Pairs()
        method, params = "tools/call", Pairs([("name", kind), ("arguments", arguments)])
        name = kind
        if kind == "greet":
            method = "prompts/get"
        elif kind == "note":
            name = self._random.choice(VALUES["open URIs"])
            method, params = "resources/read", Pairs([("uri", name)])
        headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", era)]
        if era == MODERN:
            params.append(("_meta", meta()))
            headers += [("Mcp-Method", method), ("Mcp-Name", name)]
        number = self._random.randrange(1 << 30)
        envelope = Pairs(
            [("jsonrpc", "2.0"), ("id", Raw(str(number))), ("method", method), ("params", params)]
        )
        return Draft(kind, envelope, params, arguments, case, headers)

    def _steps(self, draft: Draft) -> list:
        if draft.kind == "note":
            return [Bodies._uri, Bodies._uri, Bodies._uri, *COMMON]
        if draft.kind == "greet":
            return [Bodies._names, Bodies._other_arguments, *COMMON]
        return [Bodies._value] * 5 + [Bodies._look_alike] * 3 + [*ARGUMENTS, *COMMON]

    # Steps on arguments

    def _place(self, draft: Draft):
        """The object that holds the argument that a condition is about, and its name there."""
        *way, last = draft.case.argument
        at = draft.arguments
        for name in way:
            inner = next((value for key, value in at if key == name), None)
            if not isinstance(inner, Pairs):
                return at, name
            at = inner
        return at, last

    def _value(self, draft):
        at, name = self._place(draft)
        put(at, name, self._random.choice(draft.case.odd))

    def _look_alike(self, draft):
        """The same argument under a name that another reader may take for it."""
        at, name = self._place(draft)
        value = self._random.choice([BAD[draft.case.argument[-1]], *draft.case.odd])
        at.insert(self._random.randint(0, len(at)), (self._alike(name), value))

    def _alike(self, name: str) -> str:
        head, *tail = name.split("_")
        at = self._random.randint(0, len(name))
        spoiler = self._random.choice(VALUES["spoilers"])
        wide = "".join(chr(ord(c) + 0xFEE0) for c in name)
        return self._random.choice(
            [
                head + "".join(word.title() for word in tail),
                name.upper(),
                name.title(),
                name.replace("s", "\u017f").replace("k", "\u212a"),
                name.replace("i", "\u0131"),
                name.replace("_", "-"),
                name.replace("_", ""),
                wide,
                name[:at] + spoiler + name[at:],
                name + spoiler,
                spoiler + name,
                name,
            ]
        )

    def _prototype(self, draft):
        at, name = self._place(draft)
        key = self._random.choice(["__proto__", "constructor", "prototype"])
        inner = Pairs([(name, BAD[draft.case.argument[-1]])])
        at.insert(self._random.randint(0, len(at)), (key, inner))

    def _other_arguments(self, draft):
        """Something else in the place of the arguments, or beside them."""
        text = self._writer.write(draft.arguments)
        others = [
            text,
            Raw("null"),
            [draft.arguments],
            Raw("[]"),
            Pairs(),
            [list(p) for p in draft.arguments],
        ]
        name = self._random.choice(
            ["arguments", "Arguments", "arguments", "args", "arguments\u0000", "input"]
        )
        if self._random.random() < 0.5:
            put(draft.params, "arguments", self._random.choice(others))
        else:
            draft.params.insert(
                self._random.randint(0, len(draft.params)), (name, self._random.choice(others))
            )

    def _dropped(self, draft):
        at, name = self._place(draft)
        at[:] = [(key, value) for key, value in at if key != name]

    def _more(self, draft):
        """What nobody asked about."""
        draft.arguments.append(
            (self._random.choice(["note", "x1", "trace", "größe", ""]), Raw("1"))
        )

    # Steps on names, members and what is around them

    def _uri(self, draft):
        """Another spelling of the resource, or of another one."""
        uri = self._random.choice(VALUES["URIs"])
        put(draft.params, "uri", uri)
        draft.headers[:] = [
            (n, uri if n == "Mcp-Name" and uri.isascii() else v) for n, v in draft.headers
        ]

    def _names(self, draft):
        name = self._random.choice([*VALUES["names"], Raw("null"), [draft.kind], Raw("0")])
        if isinstance(name, str):
            name = self._filled(name, draft)
            if name.isascii() and name.isprintable() and self._random.random() < 0.7:
                draft.headers[:] = [(n, name if n == "Mcp-Name" else v) for n, v in draft.headers]
        put(draft.params, "name", name)

    def _filled(self, text: str, draft) -> str:
        hidden = "hidden_prompt" if draft.kind == "greet" else self._hidden
        return text.replace("HIDDEN", hidden).replace("KIND", draft.kind)

    def _members(self, draft):
        """Another member of the request, or of its parameters, that some reader may take."""
        member = self._filled(json.dumps(self._random.choice(VALUES["members"])), draft)
        name, value = json.loads(member)
        at = self._random.choice([draft.envelope, draft.params])
        at.insert(self._random.randint(0, len(at)), (name, pairs(value)))

    def _meta(self, draft):
        """A selector or a claim in `_meta`."""
        key = "io.modelcontextprotocol/protocolVersion"
        version = (key, self._random.choice(VALUES["versions"]))
        selectors = [version, version, *pairs(dict(VALUES["selectors"]))]
        metas = (value for name, value in draft.params if name == "_meta")
        old = next((value for value in metas if isinstance(value, Pairs)), Pairs())
        new = Pairs([pair for pair in old if pair[0] != key or self._random.random() < 0.7])
        new.insert(self._random.randint(0, len(new)), self._random.choice(selectors))
        put(draft.params, "_meta", new)

    def _twice(self, draft):
        """A member twice, with the same value or another."""
        at = self._random.choice(
            [at for at in (draft.envelope, draft.params, draft.arguments) if at]
        )
        name, value = self._random.choice(at)
        other = self._random.choice([value, "secret", Raw("null")])
        at.insert(self._random.randint(0, len(at)), (name, other))

    def _order(self, draft):
        for at in (draft.envelope, draft.params, draft.arguments):
            self._random.shuffle(at)

    def _header(self, draft):
        """A header that says something else than the body."""
        others = [("MCP-Protocol-Version", version) for version in VALUES["versions"]]
        others += [("Content-Type", kind) for kind in VALUES["types"]] + VALUES["headers"]
        name, value = self._random.choice(others)
        if self._random.random() < 0.7:
            draft.headers[:] = [pair for pair in draft.headers if pair[0] != name]
        draft.headers.append((name, value))

    def _bytes(self, draft):
        draft.encode.append(self._random.choice(ENCODINGS))

    def _number(self, draft):
        """Another id."""
        ids = VALUES["ids, of requests"]
        put(draft.envelope, "id", Raw(self._random.choice(ids)))


COMMON = [
    Bodies._names,
    Bodies._members,
    Bodies._members,
    Bodies._meta,
    Bodies._twice,
    Bodies._order,
    Bodies._order,
    Bodies._header,
    Bodies._header,
    Bodies._bytes,
    Bodies._number,
]
ARGUMENTS = [
    Bodies._prototype,
    Bodies._other_arguments,
    Bodies._dropped,
    Bodies._more,
    Bodies._more,
]
