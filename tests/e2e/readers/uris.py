"""URIs near those of a world: hosts, paths and escapes as attackers and careless code write them."""

import random
import re

PARTS = re.compile(r"([a-z]+):(?://([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.S)

SCHEMES = ["file", "http", "https", "docs", "notes", "ticket", "ws", "ftp", "urn", "FILE", "Docs", ""]
SLASHES = ["", "/", "//", "///", "////", "\\\\", "/\\", "//\t"]
USERS = ["@", ":@", "u@", "u:p@", "team-@", "TCK-1@", "x:y@", "a%40b@", "pub@", "open@", ".corp.example@"]
PORTS = [":", ":80", ":0080", ":443", ":81", ":99999", ":8O", ":%38", ":80:80", ":-1", ":00"]
HOSTS = [
    "%49ntern", "int%C2%ADern", "%EF%BD%89ntern", "0x7f.1", "127.1", "2130706433", "127.0.0.1",
    "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "xn--intern-9qa", "intern.", "INTERN", "int\tern",
    "evil.example%2F.corp.example", "evil.example?.corp.example", "evil.example%23.corp.example",
    "evil.example\\.corp.example", "evil.example%E3%80%82corp.example", "team-%2F..", "team-a%00",
    ".corp.example", "..corp.example", "a..corp.example", "localhost", "secret", "other", "team-",
    "team-a,b", "team-(a)", "team-~", "team-é", "team-%C3%A9", "h", "x", "pub", ".", "..", "secret.",
    "SECRET", "s%65cret", "sec%E2%80%8Bret", "%EF%BD%93ecret", "127.0.0.1.", "127.0.0.%31",
]
SEGMENTS = [
    "..", ".", "", "%2e%2e", "%2E.", ".%2e", "..;", "..;x=1", "..%20", "%20..", "...", "....", "..%00",
    "..%09", ".%09.", "%C0%AE%C0%AE", "%E0%80%AE.", "%EF%BC%8E%EF%BC%8E", "\uff0e\uff0e", "..%2F",
    "..%5C", "..\\", "%252e%252e", "%2f", "%5c", "%00", "%0a", "%0d", "%FF", "%", "%2", "%zz", "%u002e",
    "a%2Fb", "a%E2%88%95b", "a%EF%BC%8Fb", "a%3Fb", "a%23b", "a;b", "a,b", "a:b", "a=b", "a+b", "~",
    "secret", "SECRET", "%73ecret", "s%65cret", "%53ecret", "secret.", "secret%20", "secret%2E",
    "secret::$DATA", "pub", "key", "secre%E2%80%8Bt", "sec%C2%ADret", "%EF%BD%93ecret", "summary", "x",
    "caf%C3%A9", "cafe%CC%81", "%E2%80%AE", "a b", "é", "C:", "a*b", "(a)", "a'b", "a!b", "a$b", "a&b",
]
QUERIES = ["?", "?x", "?a=b", "?/../../secret/key", "?.md", "?/summary", "?a=../x", "?%2e%2e", "??", "?#"]
FRAGMENTS = ["#", "#x", "#/../../secret/key", "#?x"]
CHARACTERS = (
    "\t\n\r\0 \\/?#%:@[]{}|^`\"<>~!$&'()*+,;=.-_aZ09é\u3002\uff0e\uff0f\u2215\u00ad\u200b\u202e\ufeff\ufffd"
    "\u0130\u212a\u017f"
)


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
        parts[0] = self._random.choice(SCHEMES)

    def _slashes(self, parts, world):
        parts[1] = self._random.choice(SLASHES)

    def _user(self, parts, world):
        parts[2] = self._random.choice(USERS)

    def _host(self, parts, world):
        others = [PARTS.fullmatch(uri).group(2) or "" for uri in world.denied]
        parts[3] = self._random.choice([*HOSTS, *others * 4, self._word(), parts[3] + self._word()])

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
        parts[4] = self._random.choice(PORTS)

    def _segment(self, parts, world):
        """Another segment somewhere in the path, once or several times."""
        path = parts[5].split("/")
        segment = self._random.choice([*SEGMENTS, self._word(), self._word()])
        at = self._random.randint(0, len(path))
        path[at:at] = [segment] * self._random.choice((1, 1, 1, 2, 3))
        parts[5] = "/".join(path)

    def _end(self, parts, world):
        """Another last segment."""
        head, slash, _ = parts[5].rpartition("/")
        parts[5] = head + slash + self._random.choice([*SEGMENTS, *[self._word()] * 20])

    def _elsewhere(self, parts, world):
        """The way from here to something that is not meant."""
        there = PARTS.fullmatch(self._random.choice(world.denied)).group(3)
        up = self._random.choice(("..", "..", "%2e%2e", "..;", "%C0%AE%C0%AE", "..%20"))
        steps = parts[5].count("/")
        parts[5] += "/" * (not parts[5].endswith("/")) + "/".join([up] * steps) + there

    def _query(self, parts, world):
        parts[6] = self._random.choice(QUERIES)

    def _fragment(self, parts, world):
        parts[7] = self._random.choice(FRAGMENTS)

    def _word(self) -> str:
        """Something that nobody minds."""
        size = self._random.randint(1, 8)
        return "".join(self._random.choices("abcdefxyz0123456789-_.", k=size))

    def _scrawl(self, uri: str) -> str:
        """A character more, less or twice, anywhere."""
        at = self._random.randrange(len(uri) + 1)
        middle = self._random.choice((self._random.choice(CHARACTERS), "", uri[at : at + 1] * 2))
        return uri[:at] + middle + uri[at + 1 :]


STEPS = [
    Uris._scheme, Uris._slashes, Uris._user, Uris._host, Uris._host, Uris._spelling, Uris._port,
    Uris._segment, Uris._segment, Uris._end, Uris._end, Uris._end, Uris._elsewhere, Uris._query,
    Uris._fragment,
]
