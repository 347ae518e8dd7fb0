"""Training rows: conversations cut into tokens, with a mark on every token that the model is to write.

A row holds one long conversation, or many short ones that do not see one another; their positions begin anew, so each
is read as if it stood alone. Short ones share their beginning where that is long (a system message, tools): every
question then sees the beginning, but no other question.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engine.builtin.train import drills
from engine.builtin.train.conversations import MISSES, Author, Setting, setting
from engine.builtin.train.exchange import Message, Tool
from engine.builtin.train.model import Layout
from engine.builtin.train.render import render
from engine.builtin.train.tokenizer import END, PAD, START

BLOCK = 256
"""Short conversations without a common beginning never cross a multiple of this, which makes attention cheap."""
CUT = 0.6
"""The share of short conversations that end a few tokens into the answer: what decides which answer it is."""
CUT_AFTER = (8, 18)
CUT_CALL = 0.5
"""The share of short conversations with a tool call that end with the call."""
DRILLED = 0.25
"""The share of blocks that hold exercises in copying and calling."""
LONGEST_START = 450


@dataclass
class Piece:
    """Some tokens, and which of them the model writes."""

    ids: list[int] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: Piece) -> Piece:
        return Piece(self.ids + other.ids, self.written + other.written)

    def upto(self, end: int) -> Piece:
        """The first tokens."""
        return Piece(self.ids[:end], self.written[:end])


@dataclass(frozen=True)
class Batch:
    """Rows of one length."""

    ids: Tensor
    """`[count, length + 1]`"""
    written: Tensor
    """`[count, length]`: which of the ids but the first the model writes."""
    layout: Layout | None = None
    """None where each row is one conversation."""


class _Canvas:
    """One row of several conversations in the making."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.piece = Piece()
        self.positions: list[int] = []
        self.trees: list[int] = []
        self.branches: list[int] = []

    def room(self) -> int:
        return self.length - len(self.piece)

    def add(self, piece: Piece, tree: int, branch: int, position: int = 0) -> None:
        self.piece += piece
        self.positions += range(position, position + len(piece))
        self.trees += [tree] * len(piece)
        self.branches += [branch] * len(piece)

    def pad(self, end: int, token: int) -> None:
        """Fills up to `end` with tokens that only see one another."""
        count = end - len(self.piece)
        self.add(Piece([token] * count, [False] * count), -1, 0)


class Rows:
    """Endless batches, the same for the same seed."""

    def __init__(self, author: Author, tokenizer: Tokenizer, seed: int) -> None:
        self._author = author
        self._tokenizer = tokenizer
        self._rng = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._pad, self._start, self._end = (tokenizer.token_to_id(token) for token in (PAD, START, END))
        self._assistant = tokenizer.encode("assistant\n").ids
        self.tokens = 0
        """Tokens handed out so far, without padding."""

    def long(self, count: int, length: int) -> Batch:
        """Each row one conversation of many turns."""
        return self._batch([self._conversation(length + 1) for _ in range(count)], length)

    def packed(self, count: int, length: int) -> Batch:
        """Short conversations, most of them without anything before the question."""
        rows = []
        for _ in range(count):
            row = _Canvas(length)
            for end in range(BLOCK, length + 1, BLOCK):
                self._fill_block(row, end)
            rows.append(row)
        return self._several(rows, length, BLOCK)

    def branched(self, count: int, length: int) -> Batch:
        """Short conversations with a common beginning."""
        rows = []
        for _ in range(count):
            row = _Canvas(length)
            tree = 0
            while row.room() > LONGEST_START // 2:
                tree += self._grow(row, tree)
            row.pad(length, self._pad)
            rows.append(row)
        return self._several(rows, length, length)

    def _fill_block(self, row: _Canvas, end: int) -> None:
        misses = 0
        short = self._drill if self._rng.random() < DRILLED else self._short
        while misses < MISSES:
            piece = short()
            if len(row.piece) + len(piece) > end:
                misses += 1
            else:
                row.add(piece, len(row.piece), 0)
        row.pad(end, self._pad)

    def _drill(self) -> Piece:
        if self._rng.random() < 0.5:
            return self._encode(drills.drill(self._rng).messages(), [])
        tools, exchange = drills.call_drill(self._rng)
        return self._first_answer(self._encode([], tools) + self._encode(exchange.messages(), []))

    def _short(self) -> Piece:
        rng = self._rng
        where = setting(rng, tools=False, bare=0.75)
        piece = self._encode(where.messages(), [])
        for _ in range(rng.choice((1, 1, 1, 1, 1, 2))):
            piece += self._encode(self._author.exchange(where, rng).messages(), [])
        return self._cut(piece) if rng.random() < CUT else piece

    def _grow(self, row: _Canvas, tree: int) -> bool:
        """Adds a beginning and conversations that share it; false where the beginning was too long."""
        rng = self._rng
        where = setting(rng, tools=True)
        start = self._encode(where.messages(), where.tools)
        if rng.random() < 0.25:
            start += self._encode(self._author.exchange(where, rng).messages(), [])
        if len(start) > min(LONGEST_START, row.room() - BLOCK // 2):
            return False
        row.add(start, tree, 0)
        misses, most = 0, rng.randrange(2, 6) if where.foreign else rng.randrange(6, 16)
        for branch in range(1, most):
            piece = self._branch(where)
            if len(piece) > row.room():
                misses += 1
                if misses == MISSES:
                    break
            else:
                row.add(piece, tree, branch, len(start))
        return True

    def _branch(self, where: Setting) -> Piece:
        rng = self._rng
        exchange = self._author.exchange(where, rng)
        piece = self._encode(exchange.messages(text_arguments=rng.random() < 0.2), [])
        if exchange.call:
            return self._first_answer(piece) if rng.random() < CUT_CALL else piece
        return self._cut(piece) if rng.random() < CUT else piece

    def _cut(self, piece: Piece) -> Piece:
        """Without most of the last answer."""
        asked = len(piece) - 1 - piece.written[-2::-1].index(False)
        return piece.upto(asked + self._rng.randrange(*CUT_AFTER))

    def _first_answer(self, piece: Piece) -> Piece:
        """Up to the end of what the model first writes, which is a tool call."""
        return piece.upto(piece.written.index(False, piece.written.index(True)))

    def _encode(self, messages: list[Message], tools: list[Tool]) -> Piece:
        ids = self._tokenizer.encode(render(messages, tools)).ids
        return Piece(ids, self.written(ids))

    def written(self, ids: list[int]) -> list[bool]:
        """Which tokens the model writes, its closing mark included; only they are learned."""
        marks: list[bool] = []
        writing = False
        head = len(self._assistant)
        for at, token in enumerate(ids):
            marks.append(writing)
            if token == self._end:
                writing = False
            elif ids[at - head] == self._start and ids[at - head + 1 : at + 1] == self._assistant:
                writing = True
        return marks

    def _conversation(self, room: int) -> Piece:
        while True:
            messages, tools = self._author.conversation(room, self._measure, self._rng)
            piece = self._encode(messages, tools)
            if messages and messages[-1]["role"] == "assistant" and len(piece) <= room:
                return piece

    def _measure(self, messages: list[Message], tools: list[Tool]) -> int:
        return len(self._tokenizer.encode(render(messages, tools)).ids)

    def _batch(self, rows: list[Piece], length: int, layout: Layout | None = None) -> Batch:
        self.tokens += sum(sum(token != self._pad for token in row.ids) for row in rows)
        ids = torch.tensor([row.ids + [self._pad] * (length + 1 - len(row)) for row in rows])
        written = torch.tensor([row.written + [False] * (length + 1 - len(row)) for row in rows])
        return Batch(ids, written[:, 1:], layout)

    def _several(self, rows: list[_Canvas], length: int, size: int) -> Batch:
        trees, branches, positions = (
            torch.tensor([getattr(row, name) for row in rows]).view(-1, size)
            for name in ("trees", "branches", "positions")
        )
        seen = trees[:, :, None] == trees[:, None, :]
        seen &= (branches[:, None, :] == 0) | (branches[:, :, None] == branches[:, None, :])
        seen &= torch.ones(size, size, dtype=torch.bool).tril()
        mask = torch.zeros(seen.shape).masked_fill(~seen, float("-inf"))[:, None]
        return self._batch([row.piece for row in rows], length, Layout(mask, positions))


def texts(author: Author, count: int, seed: int) -> Iterator[str]:
    """Rendered conversations, for learning the vocabulary from."""
    rng = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    for index in range(count):
        messages, tools = author.conversation(700 if index % 3 == 0 else 180, lambda m, t: len(render(m, t)) // 4, rng)
        yield render(messages, tools)
