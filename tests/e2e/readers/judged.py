"""URIs through the judge and what it forwards through the oracles, world by world."""

import json
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from gateway import BINARIES

from readers.oracles import answers
from readers.uris import Uris
from readers.worlds import WORLDS, described

CHUNK = 100_000
"""URIs at once, for the sake of memory."""
LITERALS = 2_000
"""Literal grants in one configuration."""
REFUSED = 400
"""As many refused URIs of each world are shown to the oracles, too."""

UPSTREAM = '[upstreams.t]\npath = "/mcp"\nurl = "http://127.0.0.1:9/mcp"\n'


@dataclass
class Tally:
    """What came out for one world."""

    made: int = 0
    forwarded: int = 0
    served: Counter = field(default_factory=Counter)
    """How many of the forwarded URIs each reader had an answer to."""
    wrong: dict = field(default_factory=lambda: defaultdict(dict))
    """Forwarded URIs that lead elsewhere, with what each such reader makes of them."""
    astray: set = field(default_factory=set)
    """The readers that a refused URI would have led elsewhere."""

    def add(self, key: str, uri: str, was_forwarded: bool, told: dict):
        for reader, answer in told.items():
            answer["scheme"] = uri.split(":")[0].lower()
            may_be = WORLDS[key].may_be(answer)
            if not was_forwarded:
                self.astray |= set() if may_be else {reader}
                continue
            self.served[reader] += 1
            if not may_be:
                self.wrong[uri][reader] = answer

    def shown(self, count: int) -> str:
        """Some of what is wrong: the URI, who is led astray, and where to."""
        lines = []
        for uri, told in list(self.wrong.items())[:count]:
            answer = next(iter(told.values()))
            where = {k: v for k, v in answer.items() if k not in ("scheme", "decoded")}
            lines.append(f"{uri!r} for {', '.join(told)}: {where}")
        return "\n".join(lines)


def tallies(oracles: list, seed: int, rounds: int, folder: Path) -> dict:
    """What comes out for `rounds` URIs in all."""
    worlds = folder / "worlds.json"
    worlds.write_text(json.dumps(described()))
    uris = Uris(seed)
    found = {key: Tally() for key in WORLDS}
    while any(tally.made * len(WORLDS) < rounds for tally in found.values()):
        questions = []
        for key, tally in found.items():
            count = min(max(rounds // len(WORLDS) - tally.made, 1), CHUNK // len(WORLDS))
            for uri, may in judged(folder, key, [uris.near(WORLDS[key]) for _ in range(count)]):
                if may or tally.made - tally.forwarded < REFUSED:
                    questions.append((key, uri, may))
                tally.made += 1
                tally.forwarded += may
        asked = answers(oracles, worlds, [(key, uri) for key, uri, _ in questions], folder)
        for (key, uri, may), told in zip(questions, asked, strict=True):
            found[key].add(key, uri, may, told)
    return found


def judged(folder: Path, key: str, uris: list):
    """Each URI, and whether the gateway would forward it."""
    grants = WORLDS[key].grants
    size = len(uris) if grants else LITERALS
    for start in range(0, len(uris), size):
        some = uris[start : start + size]
        config = configured(folder, key, grants or sorted(set(filter(is_literal, some))))
        yield from zip(some, verdicts(config, some), strict=True)


def configured(folder: Path, key: str, grants: list) -> Path:
    """A configuration with one role for one world."""

    def patterns(all_):
        return json.dumps([f"t/{pattern}" for pattern in all_])

    role = f"[roles.r]\nresources = {patterns(grants)}\n"
    config = folder / "gateway.toml"
    config.write_text(f"{UPSTREAM}{role}deny_resources = {patterns(WORLDS[key].denies)}\n")
    return config


def is_literal(uri: str) -> bool:
    """Whether a pattern of this text is one resource and no glob, and TOML can hold it."""
    return uri.isprintable() and not set(uri) & set("*[]{}\\")


def verdicts(config: Path, uris: list) -> list:
    """Whether somebody with the role may read each of them."""
    asked = subprocess.run(
        [BINARIES / "doorward", "can", "--role", "r", "-", "--resource", "--config", config],
        input="".join(json.dumps(f"t/{uri}") + "\n" for uri in uris),
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 0, asked.stderr
    words = [line.split(" ", 1)[0] for line in asked.stdout.splitlines()]
    assert set(words) <= {"yes", "no"}
    return [word == "yes" for word in words]
