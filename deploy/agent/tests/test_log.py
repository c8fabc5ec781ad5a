"""Nothing of a caller's gets raw into the log, and nobody fills the disk with it."""

import http.client
import json
import logging
import re
import sys

import pytest
from chat import log
from process import THREAD, chat

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|WARNING) [\w.]+: ")


def test_every_character_comes_out_printable():
    for at in range(0, sys.maxunicode + 1, 1000):
        text = log.harmless("".join(map(chr, range(at, min(at + 1000, sys.maxunicode + 1)))))
        assert text.isprintable()
    for unseen in "\u200b\u3164\u2800\ufe0f\u202e\U000e0041\U000e0100":
        assert unseen not in log.harmless(unseen)
    assert log.harmless("✅ Grüße, 東京") == "✅ Grüße, 東京"
    assert len(log.harmless("x" * 70_000)) < 5000


def test_an_exception_is_on_its_records_line():
    try:
        raise RuntimeError("broken\n2026-01-01 00:00:00,000 INFO chat: forged")
    except RuntimeError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "it %s", ("\x1b[2J",), sys.exc_info())
    line = log.OneLine(log.FORMAT).format(record)
    assert line.isprintable() and "RuntimeError" in line


def test_what_comes_too_fast_is_counted_and_errors_are_not(monkeypatch):
    now, rate = [5.0], log.Rate()
    monkeypatch.setattr(log.time, "monotonic", lambda: now[0])

    def passes(level: int = logging.INFO, text: str = "refused") -> str | None:
        record = logging.LogRecord("chat", level, "", 1, text, (), None)
        return record.getMessage() if rate.filter(record) else None

    assert [passes() for _ in range(1000)].count("refused") == log.A_SECOND
    assert passes(logging.ERROR, "broken") == "broken (800 lines before this were left out)"
    assert passes() is None
    now[0] += 1
    assert passes() == "refused (1 lines before this were left out)"
    assert passes() == "refused"


FORGED = "\n2026-01-01 00:00:00,000 INFO chat: answered organization='acme'"


@pytest.mark.parametrize(
    "evil", [FORGED, "\r", "\x1b[2J", "\x85", "\u2028", "\u202e", "\u200b", "\x00"]
)
def test_what_callers_send_is_one_harmless_line_each(tmp_path, evil):
    with chat(tmp_path) as (address, stderr):
        before = len(stderr().splitlines())

        def ask(method: str, path: str, body: bytes, headers: dict) -> int:
            connection = http.client.HTTPConnection(*address, timeout=30)
            try:
                connection.request(method, path, body, headers)
                return connection.getresponse().status
            finally:
                connection.close()

        token = {"Authorization": "Bearer some-token"}
        path = f"/api/v1/chat/dev-org/threads/{THREAD}/messages"
        quoted = "".join(f"%{byte:02x}" for byte in evil.encode())
        header = evil.encode("latin-1", "ignore").strip() or "x"
        asked = [
            ask("POST", path, json.dumps({evil: 1, "content": "a"}).encode(), token),
            ask("POST", path, json.dumps({"content": evil, "message_type": evil}).encode(), token),
            ask("POST", path.replace(THREAD, quoted), b"{}", token),
            ask("POST", path.replace("dev-org", quoted), b'{"content": "a"}', token),
            ask("POST", f"/{quoted}", b"", {}),
            ask("POST", path, b"{}", {"Authorization": header}),
        ]
        assert asked == [422, 422, 422, 503, 404, 401] or asked[-1] == 400
        lines = stderr().split("\n")[before:-1]
    assert all(LINE.match(line) and line.isprintable() for line in lines), lines


def test_nobody_else_can_read_what_people_wrote(tmp_path):
    with chat(tmp_path):
        made = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("threads.db*")}
    assert made and set(made.values()) == {0o600}, made
