"""The conversations: stored durably, listed from memory, and every change told on the bus."""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine.bus import Bus
from engine.chat import store
from engine.chat.store import Store
from engine.errors import ErrorInfo, InternalError, NotFound
from engine.events import ConversationChanged, ConversationDeleted, MessageAdded, MessageFinished
from engine.types import ChatMessage, Conversation, ConversationSummary

log = logging.getLogger(__name__)

UNTITLED = "New chat"

HOST_ENDED = ErrorInfo(
    code="host_ended",
    what="The host ended while this answer was being written.",
    remedy="Ask again to have a whole answer.",
)


@dataclass(slots=True)
class Conversations:
    """All conversations; the single owner of their file and of their list."""

    _store: Store
    _bus: Bus
    _summaries: dict[int, ConversationSummary] = field(default_factory=dict)

    @classmethod
    async def open(cls, file: Path, bus: Bus) -> Conversations:
        """Opens the stored conversations; answers that an ended host left half written become `stopped`.

        Raises `StartError` when the file cannot be used.
        """
        opened = cls(await Store.open(file), bus)
        opened._summaries = {summary.id: summary for summary in await opened._store.run(_recover)}
        return opened

    async def close(self) -> None:
        """Closes the file."""
        await self._store.close()

    @property
    def summaries(self) -> tuple[ConversationSummary, ...]:
        """All conversations, the one changed last first."""
        return tuple(sorted(self._summaries.values(), key=lambda summary: (-summary.updated, -summary.id)))

    def summary(self, conversation: int) -> ConversationSummary:
        """One line of the list; raises `NotFound`."""
        try:
            return self._summaries[conversation]
        except KeyError:
            raise NotFound(f"There is no conversation {conversation}.", param="conversation") from None

    async def read(self, conversation: int) -> Conversation:
        """The conversation as it is stored; raises `NotFound`."""
        self.summary(conversation)
        messages = await self._store.run(lambda db: store.read_messages(db, conversation))
        return Conversation(summary=self.summary(conversation), messages=messages)

    async def create(self, title: str = UNTITLED) -> ConversationSummary:
        """A new, empty conversation."""
        now = time.time()

        def insert(db: sqlite3.Connection) -> int:
            values = (title, now, now)
            cursor = db.execute("INSERT INTO conversations (title, created, updated) VALUES (?, ?, ?)", values)
            return int(cursor.lastrowid or 0)

        return self._keep(ConversationSummary(id=await self._store.run(insert), title=title, updated=now))

    async def rename(self, conversation: int, title: str) -> ConversationSummary:
        """Gives a conversation another title; raises `NotFound`."""
        self.summary(conversation)
        await self._store.run(
            lambda db: db.execute("UPDATE conversations SET title = ? WHERE id = ?", (title, conversation))
        )
        return self._keep(replace(self.summary(conversation), title=title))

    async def delete(self, conversation: int) -> None:
        """Deletes a conversation and its messages; raises `NotFound`."""
        self.summary(conversation)
        await self._store.run(lambda db: db.execute("DELETE FROM conversations WHERE id = ?", (conversation,)))
        if self._summaries.pop(conversation, None):
            self._bus.publish(ConversationDeleted(conversation=conversation))

    async def add(self, conversation: int, chat: ChatMessage, parent: int | None) -> ChatMessage:
        """Stores a message below `parent` (`None` for the first one) under a new id, which the returned message has."""
        number = await self._store.run(lambda db: store.insert_message(db, conversation, chat, parent))
        added = replace(chat, id=number)
        before = self.summary(conversation)
        self._keep(replace(before, updated=chat.created, model=chat.model or before.model))
        self._bus.publish(MessageAdded(conversation=conversation, message=added))
        return added

    async def save(self, chat: ChatMessage) -> None:
        """Stores what there is of a message that is still being written."""
        await self._store.run(lambda db: store.update_message(db, chat))

    async def finish(self, conversation: int, chat: ChatMessage) -> None:
        """Stores a message in its final state, and tells it; where it cannot be stored, it is told as failed."""
        try:
            await self.save(chat)
        except InternalError as error:
            log.error("an answer is lost: %s", error)
            chat = replace(chat, state="failed", error=error.info)
        self._bus.publish(MessageFinished(conversation=conversation, message=chat))

    def mark(self, conversation: int, *, busy: bool) -> None:
        """Notes whether a turn of the conversation runs."""
        if conversation in self._summaries:
            self._keep(replace(self._summaries[conversation], busy=busy))

    def _keep(self, summary: ConversationSummary) -> ConversationSummary:
        self._summaries[summary.id] = summary
        self._bus.publish(ConversationChanged(summary=summary))
        return summary


def _recover(db: sqlite3.Connection) -> tuple[ConversationSummary, ...]:
    error = msgspec.json.encode(HOST_ENDED).decode()
    db.execute("UPDATE messages SET state = 'stopped', error = ? WHERE state = 'writing'", (error,))
    return store.read_summaries(db)
