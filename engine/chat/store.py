"""The SQLite file of the conversations: its schema, its one thread, and rows as nouns.

Messages form a tree by their parent, so that a branch is another child of the same message. Every write is on disk
when its call returns (WAL with `synchronous = FULL`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.errors import ErrorInfo, InternalError, StartError
from engine.types import ChatMessage, ConversationSummary, Finish, Message

T = TypeVar("T")

MIGRATIONS = (
    """
    CREATE TABLE conversations (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        title TEXT NOT NULL,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        model TEXT
    ) STRICT;
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
        parent INTEGER REFERENCES messages ON DELETE CASCADE,
        created REAL NOT NULL,
        role TEXT NOT NULL,
        content TEXT NOT NULL,
        reasoning TEXT NOT NULL,
        calls TEXT NOT NULL,    -- JSON: tool_calls, tool_call_id and name of the message
        state TEXT NOT NULL,
        model TEXT,
        finish TEXT,            -- JSON
        ttft_s REAL,
        error TEXT              -- JSON
    ) STRICT;
    CREATE INDEX messages_of ON messages (conversation, id);
    CREATE INDEX messages_below ON messages (parent);
    CREATE INDEX messages_writing ON messages (state) WHERE state = 'writing';
    """,
)
"""One script per version of the schema; `user_version` counts those that have been run."""


class Store:
    """The database, reached through one thread of its own."""

    def __init__(self, file: Path, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._file = file
        self._connection = connection
        self._thread = thread

    @classmethod
    async def open(cls, file: Path) -> Store:
        """Opens the file, creating it or bringing its schema up to date.

        Raises `StartError` naming the file when it cannot be used or was written by a newer version.
        """
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="conversations")
        try:
            connection = await asyncio.get_running_loop().run_in_executor(thread, _connect, file)
        except sqlite3.Error as error:
            thread.shutdown()
            raise StartError(
                f"The conversations in {file} cannot be opened: {error}.",
                remedy="Move the file away to begin with an empty one, or restore it from a backup.",
            ) from error
        except StartError:
            thread.shutdown()
            raise
        return cls(file, connection, thread)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` in one transaction on the database's thread; it is on disk when this returns.

        Raises `InternalError` when the file cannot be read or written.
        """

        def transaction() -> T:
            with self._connection:
                return work(self._connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)
        except sqlite3.Error as error:
            raise InternalError(
                f"The conversations in {self._file} cannot be read or written: {error}.",
                remedy="Look whether the disk is full or the folder is writable.",
            ) from error

    async def close(self) -> None:
        """Closes the file after everything asked for before has been done."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, check_same_thread=True)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        connection.close()
        raise StartError(
            f"The conversations in {file} were written by a newer Footplate.",
            remedy="Install the newer version again, or name another place with FOOTPLATE_HOME.",
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN; {script}; PRAGMA user_version = {number}; COMMIT;")
    file.chmod(0o600)
    return connection


def insert_message(db: sqlite3.Connection, conversation: int, chat: ChatMessage, parent: int | None) -> int:
    """Stores a message (its id is ignored) below `parent`, and moves its conversation to the top; the new id."""
    cursor = db.execute(
        "INSERT INTO messages (conversation, parent, created, role, content, reasoning, calls, state, model, finish,"
        " ttft_s, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (conversation, parent, chat.created, *_columns(chat)),
    )
    db.execute(
        "UPDATE conversations SET updated = ?, model = coalesce(?, model) WHERE id = ?",
        (chat.created, chat.model, conversation),
    )
    return int(cursor.lastrowid or 0)


def update_message(db: sqlite3.Connection, chat: ChatMessage) -> None:
    """Overwrites everything of the message with this id but its place."""
    db.execute(
        "UPDATE messages SET role = ?, content = ?, reasoning = ?, calls = ?, state = ?, model = ?, finish = ?,"
        " ttft_s = ?, error = ? WHERE id = ?",
        (*_columns(chat), chat.id),
    )


def read_messages(db: sqlite3.Connection, conversation: int) -> tuple[ChatMessage, ...]:
    """The messages of the newest branch, oldest first."""
    rows = db.execute(
        "WITH RECURSIVE path (id, parent, depth) AS ("
        " SELECT id, parent, 0 FROM messages WHERE id = (SELECT max(id) FROM messages WHERE conversation = ?)"
        " UNION ALL SELECT m.id, m.parent, depth + 1 FROM messages m JOIN path ON m.id = path.parent)"
        " SELECT messages.* FROM messages JOIN path USING (id) ORDER BY depth DESC",
        (conversation,),
    )
    return tuple(_message(row) for row in rows)


def read_summaries(db: sqlite3.Connection) -> tuple[ConversationSummary, ...]:
    """All conversations."""
    rows = db.execute("SELECT id, title, updated, model FROM conversations")
    return tuple(ConversationSummary(**row) for row in rows)


def _columns(chat: ChatMessage) -> tuple[object, ...]:
    message = chat.message
    calls = {"tool_calls": message.tool_calls, "tool_call_id": message.tool_call_id, "name": message.name}
    return (
        message.role,
        message.content,
        message.reasoning,
        msgspec.json.encode({key: value for key, value in calls.items() if value}).decode(),
        chat.state,
        chat.model,
        msgspec.json.encode(chat.finish).decode() if chat.finish else None,
        chat.ttft_s,
        msgspec.json.encode(chat.error).decode() if chat.error else None,
    )


def _message(row: sqlite3.Row) -> ChatMessage:
    text = {"role": row["role"], "content": row["content"], "reasoning": row["reasoning"]}
    return ChatMessage(
        id=row["id"],
        message=msgspec.convert(text | msgspec.json.decode(row["calls"]), Message),
        created=row["created"],
        state=row["state"],
        model=row["model"],
        finish=msgspec.json.decode(row["finish"], type=Finish) if row["finish"] else None,
        ttft_s=row["ttft_s"],
        error=msgspec.json.decode(row["error"], type=ErrorInfo) if row["error"] else None,
    )
