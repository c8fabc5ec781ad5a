"""What is refused without a gateway, or with one that goes away."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from chat import strict
from chat.app import application
from chat.assistant import Assistant
from chat.room import Room
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
        (b"[" * 60_000, 400),
        (b'{"content":' * 5_000, 400),
        (b'{"content": ["a", {"b": [[]]}]}', 422),
        (b'{"content": "a", "content": "b"}', 400),
        (b'{"content": NaN}', 400),
        (b'{"content": %s}' % (b"1" * 5_000), 400),
        (b'{"content": "a"} x', 400),
        (b'\xef\xbb\xbf{"content": "a"}', 400),
        ('{"content": "a"}'.encode("utf-16"), 400),
        ('{"content": "ä"}'.encode("latin-1"), 400),
        (rb'{"content": "\ud800"}', 422),
        (rb'{"\ud800": 1, "content": "a"}', 422),
        (b"", 400),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_body_that_is_no_message_is_refused(http, caplog, body, status):
    answer = http.post(PATH, headers=TOKEN, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_the_name_of_a_member_that_is_not_ours_is_told_in_quotes_and_cut(http):
    body = {"content": "a", "refused\n" + "x" * 8000: 1}
    error = http.post(PATH, headers=TOKEN, json=body).json()["error"]
    assert error.startswith('"refused\\nx')
    assert len(error) < 200


def test_every_text_can_be_sent():
    assert strict.Reply({"content": "\ud800ä"}).body == rb'{"content":"\ud800\u00e4"}'


def test_what_nobody_thought_of_is_one_line_and_tells_the_caller_nothing(http, caplog, monkeypatch):
    def break_down(_):
        raise RuntimeError("secret\nforged")

    monkeypatch.setattr("chat.app.bearer", break_down)
    answer = http.post(PATH, headers=TOKEN, json=HELLO)
    assert (answer.status_code, answer.json()) == (500, {"error": "something went wrong"})
    assert "Traceback" not in caplog.text
    assert "broken: RuntimeError: secret" in caplog.text and "test_requests.py:" in caplog.text


def test_a_thread_is_a_uuid(http):
    answer = http.post(PATH.replace("4aba8e44", "x"), headers=TOKEN, json=HELLO)
    assert answer.status_code == 422


def test_a_gateway_that_is_away_is_503(http, caplog):
    answer = http.post(PATH, headers=TOKEN, json=HELLO)
    assert answer.status_code == 503
    assert "Traceback" not in caplog.text


def test_one_token_cannot_take_all_places():
    """The gateway takes the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        app = application(url, Assistant("offline"), ":memory:", Room(messages=8))
        with TestClient(app) as http, ThreadPoolExecutor() as threads:

            def post(token: str):
                return http.post(PATH, headers={"Authorization": f"Bearer {token}"}, json=HELLO)

            waiting = [threads.submit(post, "greedy") for _ in range(2)]
            held = [silent.accept()[0] for _ in waiting]
            refused = post("greedy")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json() == {"error": "too many messages at once"}
            good = threads.submit(post, "good")
            held.append(silent.accept()[0])
            for connection in held:
                connection.close()
            assert [answer.result().status_code for answer in (*waiting, good)] == [503] * 3


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
