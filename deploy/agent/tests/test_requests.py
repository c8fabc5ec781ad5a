"""What is refused without a gateway, or with one that goes away."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from chat.app import application
from chat.assistant import Assistant
from starlette.testclient import TestClient

PATH = "/api/v1/chat/dev-org/threads/4aba8e44-6900-4c76-8b33-f8b96ca0e75b/messages"
TOKEN = {"Authorization": "Bearer some-token"}
HELLO = {"content": "hello"}


@contextmanager
def chat(gateway: str):
    app = application(gateway, Assistant("offline"), ":memory:")
    with TestClient(app, follow_redirects=False) as http:
        yield http


@pytest.fixture
def http():
    with chat("http://127.0.0.1:1/mcp") as http:
        yield http


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer a b"},
        {"Authorization": "Bearer ä".encode("latin-1")},
        [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
    ],
)
def test_without_one_bearer_token_it_is_401(http, headers):
    answer = http.post(PATH, headers=headers, json=HELLO)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"content": ""}', 422),
        (b'{"content": 1}', 422),
        (b'{"content": "a", "message_type": "system"}', 422),
        (b'{"content": "a", "user_id": "bob"}', 422),
        (b'{"content": "%s"}' % (b"a" * 8001), 422),
        (b" " * 70_000, 413),
    ],
)
def test_a_body_that_is_no_message_is_refused(http, body, status):
    answer = http.post(PATH, headers=TOKEN, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_thread_is_a_uuid(http):
    answer = http.post(PATH.replace("4aba8e44", "x"), headers=TOKEN, json=HELLO)
    assert answer.status_code == 422


def test_a_gateway_that_is_away_is_503(http, caplog):
    answer = http.post(PATH, headers=TOKEN, json=HELLO)
    assert answer.status_code == 503
    assert "Traceback" not in caplog.text


def test_a_gateway_that_dies_under_a_call_is_503(caplog):
    script = Path(__file__).with_name("dying_gateway.py")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as gateway:
        try:
            with chat(gateway.stdout.readline().strip()) as http:
                answer = http.post(PATH, headers=TOKEN, json={"content": "list my tickets"})
        finally:
            gateway.kill()
    assert answer.status_code == 503
    assert "Traceback" not in caplog.text


def test_nothing_is_ever_redirected(http):
    assert http.get("/health").json() == {"status": "ok"}
    assert http.get("/health/").status_code == 404
    assert http.post(PATH + "/", headers=TOKEN, json=HELLO).status_code == 404
