"""The real gateway on free ports, and what it says about itself."""

import json
import os
import re
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from processes import Child, poll

REPOSITORY = Path(__file__).resolve().parents[2]
BINARIES = REPOSITORY / os.environ.get("CARGO_TARGET_DIR", "target") / "debug"

ALICE = "dev-alice-token"
AI_DEV = "ai_dev_MwUVUygQboY9yIeXQ539PYTJfv9Y7yeexWL4TrELMB8"
TOKENS = (ALICE, AI_DEV)

BUILTIN = 'builtin = "tickets"'

ON_FREE_PORTS = """
[server.shutdown]
lame_duck = "10ms"

[admin]
listen = "127.0.0.1:0"

[server]
listen = ["127.0.0.1:0"]
"""
"""How every configuration begins that a test writes itself; more keys of [server] may follow."""


def url_of(address: str) -> str:
    """The setting for an upstream that is a process of its own."""
    return f'url = "{address}"'


class Gateway:
    """A process of its own, with this configuration."""

    def __init__(self, folder: Path, configuration: str, **options):
        config = folder / "gateway.toml"
        config.write_text(configuration)
        command = [BINARIES / "doorward", "run", "--config", config]
        self.child = Child("gateway", command, folder, **options)
        self.url = self.child.find(r'"event":"server\.listening".*?"url":"([^"]+)"')
        self._metrics = self.child.find(r'"event":"admin\.listening".*?"url":"([^"]+)"')
        self.child.find(r'"event":"(server\.ready)"')

    @property
    def admin(self) -> str:
        """host:port of the admin listener."""
        return urlsplit(self._metrics).netloc

    def exposition(self) -> str:
        """/metrics as it is."""
        with urllib.request.urlopen(self._metrics, timeout=5) as answer:
            return answer.read().decode()

    def count(self, metric: str, *labels: str) -> dict:
        """The samples of a counter that are not zero, by the values of these labels."""
        counted = {}
        for name, value in re.findall(
            rf"^doorward_{metric}{{(.*)}} (\S+)$", self.exposition(), re.M
        ):
            sample = dict(re.findall(r'(\w+)="([^"]*)"', name))
            key = tuple(sample[label] for label in labels)
            counted[key] = counted.get(key, 0) + int(value)
        return {key: value for key, value in counted.items() if value}

    def settled(self, metric: str, labels: tuple, expected: dict) -> dict:
        """The same, as soon as it is `expected` or once patience is over: a client may have its
        answer a moment before the gateway has seen the stream end."""
        try:
            poll(f"{metric} counts {expected}", lambda: self.count(metric, *labels) == expected, 5)
        except AssertionError:
            pass  # the caller compares, and shows both sides
        return self.count(metric, *labels)

    def records(self) -> list:
        """The audit records, one for each line of standard output; complete after `end`."""
        lines = [json.loads(line) for line in self.child.stdout.splitlines()]
        return [record for record in lines if record["kind"] == "request"]

    def end(self):
        """SIGTERM, as an operator would; draining must end well."""
        assert self.child.end() == 0


def shipped(upstream: str) -> str:
    """gateway.toml with three changes: free ports, the upstream, a short lame duck."""
    text = (REPOSITORY / "gateway.toml").read_text()
    for pattern, replacement in (
        (r'^listen( +)= \[".*?"\]', r'listen\1= ["127.0.0.1:0"]'),
        (r'^listen( +)= "127.*?"', r'listen\1= "127.0.0.1:0"'),
        (r"^public_url.*\n", ""),
        (r'^lame_duck( +)= ".*?"', r'lame_duck\1= "10ms"'),
        (r'^builtin +=.*?"tickets"', upstream),
    ):
        text, changed = re.subn(pattern, replacement, text, flags=re.M)
        assert changed == 1, f"gateway.toml has {changed} places like {pattern}"
    return text
