"""Whose thread it is."""

import pytest
from chat.gateway import Caller
from chat.threads import NotYours, Threads

ALICE = Caller("alice", "dev-org")
TOOLS = [{"name": "whoami", "success": True}]


@pytest.fixture
def threads():
    threads = Threads(":memory:")
    yield threads
    threads.close()


def test_a_thread_belongs_to_whoever_wrote_first(threads):
    assert threads.is_new("t", ALICE)
    threads.add("t", ALICE, "hello", "hi", TOOLS)
    assert not threads.is_new("t", ALICE)
    for other in (Caller("bob", "dev-org"), Caller("alice", "acme")):
        with pytest.raises(NotYours):
            threads.is_new("t", other)
        with pytest.raises(NotYours):
            threads.add("t", other, "hello", "hi", [])
    assert len(threads.messages("t")) == 2


def test_messages_are_kept_in_order_and_the_last_can_be_had(threads, tmp_path):
    file = str(tmp_path / "threads.db")
    first = Threads(file)
    for number in range(3):
        first.add("t", ALICE, f"question {number}", f"answer {number}", TOOLS)
    first.close()
    again = Threads(file)
    assert [message.content for message in again.messages("t", 3)] == [
        "answer 1",
        "question 2",
        "answer 2",
    ]
    assert again.messages("t")[-1].tools_used == TOOLS
    assert len(again.messages("t")) == 6
    again.close()


def test_the_oldest_messages_and_threads_go_and_nobody_elses(threads, monkeypatch):
    monkeypatch.setattr("chat.threads.MOST_MESSAGES", 4)
    monkeypatch.setattr("chat.threads.MOST_THREADS", 2)
    bob = Caller("bob", "dev-org")
    threads.add("bobs", bob, "kept", "kept", [])
    for number in range(3):
        threads.add("a", ALICE, f"question {number}", f"answer {number}", [])
    kept = [message.content for message in threads.messages("a")]
    assert kept == ["question 1", "answer 1", "question 2", "answer 2"]
    for thread in ("b", "c"):
        threads.add(thread, ALICE, "q", "a", [])
    assert threads.messages("a") == [] and threads.is_new("a", bob)
    assert all(len(threads.messages(thread)) == 2 for thread in ("b", "c", "bobs"))
