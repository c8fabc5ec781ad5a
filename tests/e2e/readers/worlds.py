"""What is granted and denied, what the servers have, and what is in the folder that is meant.

A world is a grant of a folder, or denials beside a broader grant, with the seeds that the generator
starts from. An answer of a reader is turned into claims: each is a way in which a handler may go
on with what it was given. The grant or the denial must be right about all of them.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_to_bytes

DENIED = [
    "docs://secret/**",
    "docs://x/secret/**",
    "http://intern/**",
    "http://127.0.0.1/**",
    "file:///secret/**",
    "docs://h:80/**",
]


@dataclass(frozen=True)
class Claim:
    """A way to read what was served: host, port, path without its first slash, query."""

    scheme: str
    host: str
    port: str
    path: str
    query: str


@dataclass(frozen=True)
class World:
    """One situation. `is_right` says whether what a reader makes of a forwarded URI is meant."""

    grants: list
    is_right: Callable
    allowed: list
    """URIs that the grant is for."""
    denied: list
    """URIs beside it, which the generator mixes in."""
    denies: list = field(default_factory=list)
    fixed: list = field(default_factory=list)
    """Resources that the servers have under their own URI, beside those of `denied`."""
    templates: list = field(default_factory=list)
    """(name, text before, names and texts between): `{+path}` for all that is left."""

    def may_be(self, answer: dict) -> bool:
        """Whether what a reader makes of a forwarded URI is nothing that was not meant."""
        return answer.get("name") not in self.denied and self.is_right(answer)

    def offered(self) -> dict:
        """What a server has, in the three dialects of templates."""
        rfc6570 = dict(self.templates)
        return {
            "fixed": sorted({*self.allowed, *self.denied, *self.fixed}),
            "rfc6570": rfc6570,
            "wildcards": {
                name: text.replace("{+path}", "{path*}") for name, text in self.templates
            },
            "segments": {name: segments(text) for name, text in self.templates},
        }


def segments(template: str) -> list:
    """The same for who knows only `{x}`, which is one segment: for up to four of them."""
    if "{+path}" not in template:
        return [template]
    paths = ["/".join(f"{{p{i}}}" for i in range(1, n + 1)) for n in range(1, 5)]
    return [template.replace("{+path}", path) for path in paths]


# What a handler may make of a text

OVERLONG = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}"
)


def leniently(text: str) -> str:
    """Decoded by somebody who takes overlong UTF-8 for what it would stand for."""

    def plain(found) -> bytes:
        *_, high, low = found.group()
        return bytes([(high & 1) << 6 | low & 0x3F])

    return OVERLONG.sub(plain, unquote_to_bytes(text)).decode("latin-1")


def readings(text: str, is_decoded_by_sdk: bool, is_lenient: bool) -> set:
    """What a text may be taken for: as it is, decoded once, by a lenient decoder, composed."""
    if "%" not in text and text.isascii():
        return {text}
    once = {text}
    if not is_decoded_by_sdk:
        once |= {unquote(text)} | ({leniently(text)} if is_lenient else set())
    return once | {unicodedata.normalize("NFKC", each) for each in once}


def resolved(path: str) -> list | None:
    """The segments as file systems and servers resolve them; None where it leaves the root."""
    out = []
    for segment in re.split(r"[/\\]", path):
        name = re.sub(r"[\x00-\x20\x7f]", "", segment.split(";")[0])
        if name.rstrip(".") == "" and len(name) > 1:
            if not out:
                return None
            out.pop()
        elif name not in ("", "."):
            out.append(name)
    return out


PORT = re.compile(r"(.*?)(?::([0-9]+))?", re.S)


def claims(answer: dict, is_lenient=True) -> list:
    """What the answer of a reader may come to: by its variables, by its URL."""
    found = []
    if url := answer.get("url"):
        for path in readings(url["path"], False, is_lenient):
            for host in readings(url["host"], False, is_lenient):
                path = path.removeprefix("/")
                found.append(Claim(url["scheme"], host, url["port"], path, url["query"]))
    if variables := answer.get("vars"):
        paths = [variables[name] for name in sorted(variables) if name.startswith("p")]
        path = "/".join(paths)
        is_decoded = answer.get("decoded", False)
        for authority in readings(variables.get("host", ""), is_decoded, is_lenient):
            host, port = PORT.fullmatch(authority).groups("")
            for reading in readings(path, is_decoded, is_lenient):
                found.append(Claim(answer["scheme"], host, port, reading, ""))
    return found


# What is meant by each grant


def in_pub(answer: dict) -> bool:
    """file:///pub/**"""
    where = [(claim, resolved(claim.path)) for claim in claims(answer)]
    return all(
        claim.scheme == "file" and claim.host == "" and path and path[0] == "pub"
        for claim, path in where
    )


def of_a_team(answer: dict) -> bool:
    """docs://team-*/**"""
    return all(
        re.fullmatch(r"team-[\w.-]*", claim.host, re.A) and resolved(claim.path) is not None
        for claim in claims(answer)
    )


def a_summary(answer: dict) -> bool:
    """notes://*/summary"""
    if answer.get("name") == "whole":
        return False
    return all(
        re.fullmatch(r"[\w.-]+", claim.host, re.A)
        and not claim.query
        and claim.path in ("", "summary")
        for claim in claims(answer)
    )


def at_corp(answer: dict) -> bool:
    """http://*.corp.example/**"""
    return all(
        re.fullmatch(r"[\w-][\w.-]*\.corp\.example", claim.host, re.A)
        and claim.port in ("", "80")
        and resolved(claim.path) is not None
        for claim in claims(answer)
    )


def one_of_pub(answer: dict) -> bool:
    """docs://pub/*"""
    return all(
        claim.host == "pub"
        and len(resolved(claim.path) or []) <= 1
        and "?" not in claim.path
        and resolved(claim.path) is not None
        and not claim.query
        for claim in claims(answer)
    )


def an_open_ticket(answer: dict) -> bool:
    """ticket://TCK-*"""
    return all(
        re.fullmatch(r"tck-[\w.-]*", claim.host, re.A | re.I) and claim.path == ""
        for claim in claims(answer)
    )


def not_denied(answer: dict) -> bool:
    """Beside DENIED."""
    return all(is_beside(claim, resolved(claim.path) or []) for claim in claims(answer))


def not_plainly_denied(answer: dict) -> bool:
    """Beside DENIED, where a URI was granted literally that a server folds, but no file system."""
    readers = claims(answer, is_lenient=False)
    return all(is_beside(claim, claim.path.split("/")) for claim in readers)


def is_beside(claim: Claim, path: list) -> bool:
    """Case is folded as some file systems and System.Uri do."""
    host = claim.host.casefold().rstrip(".")
    where = (claim.scheme.lower(), host)
    if where in (("docs", "secret"), ("http", "intern"), ("http", "127.0.0.1")):
        return False
    if where == ("docs", "h") and claim.port == "80":
        return False
    is_secret = [segment.casefold() for segment in path[:1]] == ["secret"]
    return not (is_secret and where in (("docs", "x"), ("file", "")))


DENIED_RESOURCES = [
    "docs://secret/key",
    "docs://secret",
    "docs://x/secret/key",
    "docs://x/secret",
    "http://intern/",
    "http://intern/key",
    "http://127.0.0.1/key",
    "file:///secret/key",
    "docs://h:80/key",
]
BROAD = dict(
    denies=DENIED,
    allowed=[
        "docs://open/key",
        "docs://x/public/key",
        "http://extern/key",
        "http://127.0.0.2/key",
        "file:///pub/key",
        "docs://h:81/key",
        "notes:a/b",
    ],
    denied=DENIED_RESOURCES,
    templates=[
        ("docs", "docs://{host}/{+path}"),
        ("file", "file:///{+path}"),
        ("http", "http://{host}/{+path}"),
    ],
)

WORLDS = {
    "pub": World(
        grants=["file:///pub/**"],
        is_right=in_pub,
        allowed=["file:///pub/a.md", "file:///pub/a/b.md", "file:///pub/a%20b"],
        denied=["file:///secret/key", "file:///pub2/key"],
        templates=[("file", "file:///{+path}")],
    ),
    "teams": World(
        grants=["docs://team-*/**"],
        is_right=of_a_team,
        allowed=["docs://team-a/page", "docs://team-b.c/x/y", "docs://team-/p"],
        denied=["docs://other/page", "docs://secret/key"],
        templates=[("page", "docs://{host}/{+path}")],
    ),
    "notes": World(
        grants=["notes://*/summary"],
        is_right=a_summary,
        allowed=["notes://1/summary"],
        denied=["notes://1", "notes://1/text", "notes://1/text/summary"],
        templates=[
            ("summary", "notes://{host}/summary"),
            ("whole", "notes://{host}"),
            ("part", "notes://{host}/{path}"),
        ],
    ),
    "corp": World(
        grants=["http://*.corp.example/**"],
        is_right=at_corp,
        allowed=["http://a.corp.example/", "http://b.c.corp.example/x/y"],
        denied=["http://evil.example/x", "http://intern/x", "http://corp.example/x"],
        templates=[("page", "http://{host}/{+path}")],
    ),
    "one": World(
        grants=["docs://pub/*"],
        is_right=one_of_pub,
        allowed=["docs://pub/a", "docs://pub/b.md"],
        denied=["docs://secret/a", "docs://pub/a/b"],
        templates=[("page", "docs://{host}/{+path}")],
    ),
    "tickets": World(
        grants=["ticket://TCK-*"],
        is_right=an_open_ticket,
        allowed=["ticket://TCK-1", "ticket://TCK-22"],
        denied=["ticket://SECRET-9"],
        templates=[("ticket", "ticket://{host}")],
    ),
    "broad": World(grants=["**"], is_right=not_denied, **BROAD),
    "literal": World(grants=[], is_right=not_plainly_denied, **BROAD),
}
"""`literal` has the generated URIs themselves for grants, as if an operator had written them."""


def described() -> dict:
    """For the oracles: what each world's servers have."""
    return {key: world.offered() for key, world in WORLDS.items()}
