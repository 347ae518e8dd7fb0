"""Training rows: one conversation each, cut into tokens, with a mark on every token that the model is to write."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from engine.builtin.train.conversations import Author
from engine.builtin.train.exchange import Message, Tool
from engine.builtin.train.render import render
from engine.builtin.train.tokenizer import END, PAD, START


class Rows:
    """Endless batches of one length, the same for the same seed."""

    def __init__(self, author: Author, tokenizer: Tokenizer, seed: int) -> None:
        self._author = author
        self._tokenizer = tokenizer
        self._rng = Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._pad, self._start, self._end = (tokenizer.token_to_id(token) for token in (PAD, START, END))
        self._assistant = tokenizer.encode("assistant\n").ids
        self.tokens = 0
        """Tokens handed out so far, without padding."""

    def batch(self, count: int, length: int, *, drill: bool = False) -> tuple[Tensor, Tensor]:
        """Ids `[count, length + 1]`, and which of them but the first the model writes, `[count, length]`."""
        rows = [self._row(length + 1, drill) for _ in range(count)]
        self.tokens += sum(map(len, rows))
        ids = torch.tensor([row + [self._pad] * (length + 1 - len(row)) for row in rows])
        written = torch.tensor([self.written(row) + [False] * (length + 1 - len(row)) for row in rows])
        return ids, written[:, 1:]

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

    def _row(self, room: int, drill: bool) -> list[int]:
        while True:
            messages, tools = self._author.conversation(room, self._measure, self._rng, drill=drill)
            ids = self._tokenizer.encode(render(messages, tools)).ids
            if messages and messages[-1]["role"] == "assistant" and len(ids) <= room:
                return ids

    def _measure(self, messages: list[Message], tools: list[Tool]) -> int:
        return len(self._tokenizer.encode(render(messages, tools)).ids)


def texts(author: Author, count: int, seed: int) -> Iterator[str]:
    """Rendered conversations, for learning the vocabulary from."""
    rng = Random(seed)  # noqa: S311 - to be repeated, not to be secret
    for index in range(count):
        messages, tools = author.conversation(700 if index % 3 == 0 else 180, lambda m, t: len(render(m, t)) // 4, rng)
        yield render(messages, tools)
