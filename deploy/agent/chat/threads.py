"""Threads and their messages in SQLite. A thread belongs to the user who wrote first."""

import json
import sqlite3
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .gateway import Caller

SCHEMA = """
    CREATE TABLE IF NOT EXISTS threads (
        id TEXT PRIMARY KEY,
        organization_id TEXT NOT NULL,
        user_id TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS messages (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        thread_id TEXT NOT NULL REFERENCES threads (id),
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        tools_used TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS messages_of_thread ON messages (thread_id, number);
    CREATE INDEX IF NOT EXISTS threads_of_user ON threads (organization_id, user_id);
"""
MOST_MESSAGES = 1000
"""Of a thread that are kept; the oldest go."""
MOST_THREADS = 1000
"""Of a user that are kept; the oldest go, with their messages."""


class NotYours(Exception):
    """The thread is another caller's; told to nobody but as if it were not there."""


@dataclass(frozen=True)
class Message:
    """What was said, and with which tools."""

    id: str
    role: str
    content: str
    tools_used: list[dict[str, Any]]
    created_at: str


class Threads:
    """The store. Its statements take microseconds, so they run on the event loop."""

    def __init__(self, file: str) -> None:
        self._database = sqlite3.connect(file)
        self._database.execute("PRAGMA journal_mode = wal")
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        self._database.close()

    def is_new(self, thread: str, caller: Caller) -> bool:
        """Whether nobody has written to it yet. Raises NotYours where somebody else has."""
        query = "SELECT organization_id, user_id FROM threads WHERE id = ?"
        owner = self._database.execute(query, (thread,)).fetchone()
        if owner is not None and owner != (caller.organization, caller.user):
            raise NotYours
        return owner is None

    def messages(self, thread: str, last: int = -1) -> list[Message]:
        """The last so many messages, oldest first; all of them for -1."""
        query = """
            SELECT id, role, content, tools_used, created_at FROM messages
            WHERE thread_id = ? ORDER BY number DESC LIMIT ?"""
        rows = self._database.execute(query, (thread, last)).fetchall()
        return [
            Message(id, role, content, json.loads(tools), at)
            for id, role, content, tools, at in reversed(rows)
        ]

    def add(
        self, thread: str, caller: Caller, asked: str, answered: str, tools: list[dict[str, Any]]
    ) -> str:
        """Keeps a message and its answer, both or neither; the id of the answer."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        id = str(uuid.uuid4())
        rows = [
            (str(uuid.uuid4()), thread, "user", asked, "[]", now),
            (id, thread, "assistant", answered, json.dumps(tools), now),
        ]
        with self._database:
            # Between the question and the answer somebody else may have written first.
            owner = (thread, caller.organization, caller.user, now)
            self._database.execute("INSERT OR IGNORE INTO threads VALUES (?, ?, ?, ?)", owner)
            self.is_new(thread, caller)
            self._database.executemany(
                """INSERT INTO messages (id, thread_id, role, content, tools_used, created_at)
                   VALUES (?, ?, ?, ?, ?, ?)""",
                rows,
            )
            self._forget(thread, caller)
        return id

    def _forget(self, thread: str, caller: Caller) -> None:
        """Takes out what is more than is kept."""
        self._database.execute(
            """DELETE FROM messages WHERE thread_id = ?1 AND number <= (
                   SELECT number FROM messages WHERE thread_id = ?1
                   ORDER BY number DESC LIMIT 1 OFFSET ?2)""",
            (thread, MOST_MESSAGES),
        )
        old = self._database.execute(
            """SELECT id FROM threads WHERE organization_id = ? AND user_id = ?
               ORDER BY rowid DESC LIMIT -1 OFFSET ?""",
            (caller.organization, caller.user, MOST_THREADS),
        ).fetchall()
        self._database.executemany("DELETE FROM messages WHERE thread_id = ?", old)
        self._database.executemany("DELETE FROM threads WHERE id = ?", old)
