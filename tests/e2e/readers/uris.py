"""URIs near those of a world: hosts, paths and escapes as attackers write them."""

import json
import random
import re
from pathlib import Path

PARTS = re.compile(r"([a-z]+):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.S)

PIECES = json.loads((Path(__file__).parent / "pieces.json").read_text())
"""What the steps choose from."""


class Uris:
    """A generator that gives the same URIs for the same number."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)

    def near(self, world) -> str:
        """A URI that was made from the seeds of the world by some steps, often by none or one."""
        choose = self._random.choice
        seeds = world.allowed if self._random.random() < 0.7 else world.denied
        scheme, host, path, query, fragment = PARTS.fullmatch(choose(seeds)).groups("")
        slashes = "" if not host and not path.startswith("/") else "//"
        parts = [scheme, slashes, "", host, "", path, query, fragment]
        for _ in range(choose((0, 1, 1, 1, 2, 2, 3))):
            choose(STEPS)(self, parts, world)
        uri = parts[0] + ":" + "".join(parts[1:])
        return self._scrawl(uri) if self._random.random() < 0.12 else uri

    # Steps: each changes one part.

    def _scheme(self, parts, world):
        parts[0] = self._random.choice(PIECES["schemes"])

    def _slashes(self, parts, world):
        parts[1] = self._random.choice(PIECES["slashes"])

    def _user(self, parts, world):
        parts[2] = self._random.choice(PIECES["users"])

    def _host(self, parts, world):
        others = [PARTS.fullmatch(uri).group(2) or "" for uri in world.denied]
        parts[3] = self._random.choice(
            [*PIECES["hosts"], *others * 4, self._word(), parts[3] + self._word()]
        )

    def _spelling(self, parts, world):
        """A character of host or path written otherwise."""
        place = self._random.choice((3, 5, 5))
        if not parts[place]:
            return
        at = self._random.randrange(len(parts[place]))
        char = parts[place][at]
        wide = chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char
        others = [char.upper(), char.lower(), f"%{ord(char):02x}", f"%{ord(char):02X}", wide]
        others.append("".join(f"%{byte:02X}" for byte in wide.encode()))
        others.append(f"%{0xC0 | ord(char) >> 6:02X}%{0x80 | ord(char) & 0x3F:02X}")
        parts[place] = parts[place][:at] + self._random.choice(others) + parts[place][at + 1 :]

    def _port(self, parts, world):
        parts[4] = self._random.choice(PIECES["ports"])

    def _segment(self, parts, world):
        """Another segment somewhere in the path, once or several times."""
        path = parts[5].split("/")
        segment = self._random.choice([*PIECES["segments"], self._word(), self._word()])
        at = self._random.randint(0, len(path))
        path[at:at] = [segment] * self._random.choice((1, 1, 1, 2, 3))
        parts[5] = "/".join(path)

    def _end(self, parts, world):
        """Another last segment."""
        head, slash, _ = parts[5].rpartition("/")
        parts[5] = head + slash + self._random.choice([*PIECES["segments"], *[self._word()] * 20])

    def _elsewhere(self, parts, world):
        """The way from here to something that is not meant."""
        there = PARTS.fullmatch(self._random.choice(world.denied)).group(3)
        up = self._random.choice(("..", "..", "%2e%2e", "..;", "%C0%AE%C0%AE", "..%20"))
        steps = parts[5].count("/")
        parts[5] += "/" * (not parts[5].endswith("/")) + "/".join([up] * steps) + there

    def _query(self, parts, world):
        parts[6] = self._random.choice(PIECES["queries"])

    def _fragment(self, parts, world):
        parts[7] = self._random.choice(PIECES["fragments"])

    def _word(self) -> str:
        """Something that nobody minds."""
        size = self._random.randint(1, 8)
        return "".join(self._random.choices("abcdefxyz0123456789-_.", k=size))

    def _scrawl(self, uri: str) -> str:
        """A character more, less or twice, anywhere."""
        at = self._random.randrange(len(uri) + 1)
        middle = self._random.choice(
            (self._random.choice(PIECES["characters"]), "", uri[at : at + 1] * 2)
        )
        return uri[:at] + middle + uri[at + 1 :]


STEPS = [
    Uris._scheme,
    Uris._slashes,
    Uris._user,
    Uris._host,
    Uris._host,
    Uris._spelling,
    Uris._port,
    Uris._segment,
    Uris._segment,
    Uris._end,
    Uris._end,
    Uris._end,
    Uris._elsewhere,
    Uris._query,
    Uris._fragment,
]
