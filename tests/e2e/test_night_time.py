"""A night watch over what is saved, and over what ends: files, certificates, tokens, clocks."""

import json
import os
import subprocess
import time
import urllib.request
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from gateway import BINARIES, BUILTIN, Gateway, shipped, url_of
from jwt.algorithms import ECAlgorithm
from night.broken import Listener, read_request, stays_silent
from night.certificates import Authority
from processes import poll
from test_night import ask, explained
from test_night_outputs import LIST, LIST_HEADERS

CLOCK = Path(__file__).with_name("night") / "clock.c"
AUDITED = (
    ('to              = "stdout"', 'to              = "file"'),
    ('# file          = "audit.jsonl"', 'file            = "audit.jsonl"'),
)


def changed(*changes: tuple[str, str]) -> str:
    """The shipped configuration with these changes."""
    text = shipped(BUILTIN)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


@pytest.fixture
def started(tmp_path):
    """Starts the gateway with a configuration; ends it."""
    made = []

    def start(text: str, **options) -> Gateway:
        made.append(Gateway(tmp_path, text, **options))
        return made[-1]

    yield start
    for gateway in made:
        gateway.child.end()


def opens_a_stream(connection):
    """Begins a stream of events, in which nothing happens."""
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    stays_silent(connection)


def run(folder: Path, *arguments) -> subprocess.CompletedProcess:
    """A verb of doorward with the configuration in this folder."""
    command = [BINARIES / "doorward", *arguments, "--config", folder / "gateway.toml"]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


def test_a_typo_in_the_saved_file_is_told_and_stops_nothing(started, tmp_path):
    gateway = started(shipped(BUILTIN))
    config = tmp_path / "gateway.toml"
    config.write_text(config.read_text().replace("[roles.agent]", "[roles.agent"))
    line = config.read_text().splitlines().index("[roles.agent") + 1

    def told():
        _, _, text = ask(f"http://{gateway.admin}/status", None, {})
        return f"gateway.toml:{line}:" in text

    poll("the status says where the typo is", told)
    assert f"gateway.toml:{line}:" in gateway.child.stderr
    assert ask(gateway.url, LIST, LIST_HEADERS)[0] == 200
    health = run(tmp_path, "health", "--admin", gateway.admin)
    assert health.returncode == 0, health.stderr


def test_an_expired_certificate_is_told_by_check_and_at_the_start(started, tmp_path):
    made = Authority(tmp_path, "authority").certify("gateway", days=-1)
    tls = f'\n[server.tls]\ncert_file = "{made.cert}"\nkey_file = "{made.key}"\n\n[server.shutdown]'
    gateway = started(changed(("\n[server.shutdown]", tls)))
    checked = run(tmp_path, "check")
    for said in (gateway.child.stderr, checked.stdout + checked.stderr):
        assert any("certificate" in line and "expired" in line for line in said.splitlines()), said


def test_explain_says_which_audience_was_expected_and_which_came(started, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
    keys = {"keys": [public | {"kid": "1", "use": "sig", "alg": "ES256"}]}
    (tmp_path / "keys.json").write_text(json.dumps(keys))
    issuer = """
[issuers.corp]
issuer             = "https://login.example.com"
jwks_file          = "keys.json"
algorithms         = ["ES256"]
audience           = ["https://mcp.example.com/mcp"]
organization_claim = "org"
roles              = ["agent"]

[limits]"""
    public = ("[server]\n", '[server]\npublic_url = "http://127.0.0.1:8080"\n')
    gateway = started(changed(*AUDITED, public, ("\n[limits]", issuer)))
    claims = {
        "iss": "https://login.example.com",
        "aud": "https://other.example.com",
        "sub": "alice",
        "org": "dev-org",
        "exp": int(time.time()) + 300,
    }
    token = jwt.encode(claims, key, "ES256", headers={"kid": "1"})
    bearer = {"Authorization": f"Bearer {token}"}
    status, headers, _ = ask(gateway.url, LIST, LIST_HEADERS | bearer)
    assert status == 401
    said = explained(tmp_path, headers["X-Request-Id"])
    assert "https://mcp.example.com/mcp" in said and "https://other.example.com" in said, said


def test_a_clock_that_jumps_ends_the_stream_of_a_token_that_has_expired(started, tmp_path):
    library, ahead = tmp_path / "clock.so", tmp_path / "ahead"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, CLOCK, "-ldl"], check=True)
    ahead.write_text("0")
    in_an_hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    env = os.environ | {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(ahead)}
    ends = ('expires      = "never"', f"expires      = {in_an_hour}")
    upstream = Listener(opens_a_stream).start()
    ours = (BUILTIN, url_of(f"http://{upstream.address}/mcp"))
    gateway = started(changed(*AUDITED, ours, ends), env=env)
    listen = LIST | {"method": "subscriptions/listen"}
    listen["params"] = {"_meta": LIST["params"]["_meta"], "notifications": {"toolsListChanged": True}}
    headers = LIST_HEADERS | {"Mcp-Method": "subscriptions/listen"}
    headers.pop("Mcp-Name")
    request = urllib.request.Request(gateway.url, json.dumps(listen).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as stream:
        assert stream.status == 200
        ahead.write_text("7200")
        while stream.read1():
            pass
        request_id = stream.headers["X-Request-Id"]
    upstream.close()
    assert ask(gateway.url, LIST, LIST_HEADERS)[0] == 401
    poll("explain says why", lambda: "expired" in explained(tmp_path, request_id))
