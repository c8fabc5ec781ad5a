"""A night watch over names: a resolver that hangs or fails keeps nobody waiting but those who need
what it does not tell, and not for longer than they would."""

import json
import os
import re
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from gateway import BINARIES, ON_FREE_PORTS, Gateway
from night.broken import Listener, answer, says
from processes import poll
from test_night import CALL, TOKEN, UPSTREAM, ask, explained

NAMES = Path(__file__).with_name("night") / "names.c"

GOOD = {"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete", "content": []}}

ISSUER = """
[issuers.corp]
issuer             = "https://login.example.com"
jwks_url           = "https://keys.test/jwks.json"
algorithms         = ["ES256"]
audience           = ["https://mcp.example.com/mcp"]
organization_claim = "org"
roles              = ["watch"]
"""


class Resolver:
    """What the names of this test lead to, for processes with `environment`."""

    def __init__(self, folder: Path):
        library, self._names = folder / "names.so", folder / "names"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, NAMES, "-ldl"], check=True)
        self._asked = folder / "asked"
        self._asked.touch()
        self._lines = {}
        self.say()
        names = {"NAMES": str(self._names), "NAMES_ASKED": str(self._asked)}
        self.environment = os.environ | names | {"LD_PRELOAD": str(library)}

    def say(self, **lines: str):
        """From now on these names lead there."""
        self._lines |= lines
        new = self._names.with_suffix(".new")
        new.write_text("".join(f"{name}.test {what}\n" for name, what in self._lines.items()))
        new.rename(self._names)

    def asked(self, name: str) -> int:
        """How often it was looked up."""
        return self._asked.read_text().splitlines().count(f"{name}.test")


@pytest.fixture
def resolver(tmp_path):
    """A resolver; in the end nothing of it hangs."""
    resolver = Resolver(tmp_path)
    yield resolver
    resolver.say(**{name: "fails" for name in resolver._lines})


def serve(**where) -> Listener:
    """An upstream to which every call is good."""
    content = answer("200 OK", json.dumps(GOOD), Content_Type="application/json")
    return Listener(says(content), backlog=256, **where).start()


@pytest.fixture
def upstream():
    listener = serve()
    yield listener
    listener.close()


@pytest.fixture
def started(tmp_path, resolver, upstream):
    """Starts a gateway whose upstreams have these names; ends it."""
    made = []

    def start(*names: str, more: str = "") -> Gateway:
        settings = [(name, f'url = "http://{name}.test:{upstream.port}/mcp"') for name in names]
        public = 'public_url = "http://127.0.0.1:8080"\n'
        audit = '\n[audit]\nto = "file"\nfile = "audit.jsonl"\n'
        text = [ON_FREE_PORTS, public, audit]
        text += [UPSTREAM.format(name=name, setting=setting) for name, setting in settings]
        grants = ", ".join(f'"{name}/look"' for name in names)
        text += [f"\n[roles.watch]\ntools = [{grants}]\n", TOKEN, more]
        made.append(Gateway(tmp_path, "".join(text), env=resolver.environment))
        return made[-1]

    yield start
    for gateway in made:
        gateway.child.end()


def call(gateway: Gateway, name: str):
    """Status, headers and text of the answer to a call to the upstream of this name."""
    return ask(f"{gateway.url.rsplit('/', 1)[0]}/{name}", CALL)


def page(gateway: Gateway, path: str) -> str:
    with urllib.request.urlopen(f"http://{gateway.admin}{path}", timeout=20) as got:
        return got.read().decode()


def threads(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.child.pid}/status").read_text()
    return int(re.search(r"^Threads:\s+(\d+)$", status, re.M).group(1))


def test_one_name_that_hangs_stops_nobody_else(started, resolver, tmp_path):
    resolver.say(hung="hangs", good="127.0.0.1", late="127.0.0.1")
    gateway = started("hung", "good", "late")
    assert call(gateway, "good")[0] == 200
    before = threads(gateway)
    with ThreadPoolExecutor(100) as callers:
        hung = [callers.submit(call, gateway, "hung") for _ in range(300)]
        poll("it is looked up", lambda: resolver.asked("hung"))
        while not all(one.done() for one in hung):
            assert call(gateway, "good")[0] == 200, "a name that is known"
            for path in ("/metrics", "/status", "/readyz"):
                page(gateway, path)
            assert threads(gateway) < before + 40
        assert call(gateway, "late")[0] == 200, "a name that was not looked up before"
        config = tmp_path / "gateway.toml"
        revoked = 'expires      = "never"\nrevoked = 2020-01-01T00:00:00Z'
        config.write_text(config.read_text().replace('expires      = "never"', revoked))
        poll("a token that is revoked is refused", lambda: call(gateway, "good")[0] == 401)
        answers = [one.result() for one in hung]
    assert {status for status, _, _ in answers} == {502}
    said = explained(tmp_path, answers[0][1]["X-Request-Id"])
    assert "resolve hung.test" in said and "connect_timeout = 1s" in said, said
    assert resolver.asked("hung") == 1, "one lookup for all of them"


def test_however_many_names_hang_the_others_go_on(started, resolver, tmp_path):
    hung = [f"h{number}" for number in range(40)]
    resolver.say(**dict.fromkeys(hung, "hangs"), good="127.0.0.1")
    gateway = started("good", *hung)
    assert call(gateway, "good")[0] == 200
    before = threads(gateway)
    with ThreadPoolExecutor(len(hung)) as callers:
        answers = list(callers.map(lambda name: call(gateway, name), hung))
    assert {status for status, _, _ in answers} == {502}
    assert threads(gateway) < before + 40
    assert sum(resolver.asked(name) for name in hung) == 32
    said = [explained(tmp_path, headers["X-Request-Id"]) for _, headers, _ in answers]
    crowded = [text for text in said if "32 lookups of other names" in text]
    assert 0 < len(crowded) < len(hung), said
    assert call(gateway, "good")[0] == 200
    resolver.say(**dict.fromkeys(hung, "127.0.0.1"))
    for name in hung:
        poll(f"{name} is served", lambda name=name: call(gateway, name)[0] == 200)


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_an_old_address_is_used_while_there_is_no_newer_one(trouble, started, resolver, upstream):
    resolver.say(good="127.0.0.1")
    gateway = started("good")
    assert call(gateway, "good")[0] == 200
    upstream.close()
    assert call(gateway, "good")[0] == 502, "from now on a newer address is wanted"
    resolver.say(good=trouble)
    again = serve(port=upstream.port)

    def looked_up():
        assert call(gateway, "good")[0] == 200
        return resolver.asked("good") > 1

    poll("a newer address is looked up", looked_up)
    for _ in range(20):
        assert call(gateway, "good")[0] == 200
    told = [line for line in gateway.child.stderr.splitlines() if "resolver.failed" in line]
    assert len(told) == 1 and "good.test" in told[0] and "127.0.0.1" in told[0], told
    again.close()
    moved = serve(port=upstream.port, host="127.0.0.2")
    resolver.say(good="127.0.0.2")
    poll("the name has moved", lambda: call(gateway, "good")[0] == 200)
    gateway.child.find(r"(resolver\.works)")
    moved.close()


def test_keys_whose_name_hangs_are_told_and_stop_nobody(started, resolver):
    resolver.say(keys="hangs", good="127.0.0.1")
    gateway = started("good", more=ISSUER)
    poll("it is told", lambda: "the resolver does not answer" in page(gateway, "/readyz"))
    assert "issuer corp has no keys" in page(gateway, "/readyz")
    assert call(gateway, "good")[0] == 200


def test_a_verb_that_asks_ends_though_its_resolver_hangs(started, resolver, tmp_path):
    resolver.say(hung="hangs", keys="hangs")
    started("hung", more=ISSUER)
    now = int(time.time())
    claims = {"iss": "https://login.example.com", "sub": "alice", "exp": now + 300}
    token = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
    for verb, sent in ((["lock"], ""), (["token", "verify"], token)):
        ran = subprocess.run(
            [BINARIES / "doorward", *verb, "--config", tmp_path / "gateway.toml"],
            capture_output=True, text=True, input=sent, env=resolver.environment, timeout=30,
        )
        assert ran.returncode and "the resolver does not answer" in ran.stdout + ran.stderr, ran
