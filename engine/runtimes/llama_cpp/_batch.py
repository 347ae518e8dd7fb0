"""The batch that is handed to `llama_decode`, written in place: nothing is allocated per step."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from llama_cpp import llama_cpp as lib


class Batch:
    """Room for `size` tokens of `sequences` sequences."""

    def __init__(self, size: int, sequences: int) -> None:
        self._tokens = np.zeros(size, dtype=np.int32)
        self._positions = np.zeros(size, dtype=np.int32)
        self._counts = np.ones(size, dtype=np.int32)
        self._wanted = np.zeros(size, dtype=np.int8)
        self._ids = np.arange(sequences, dtype=np.int32)
        self._id_pointers = np.zeros(size, dtype=np.uintp)
        self._addresses = [self._ids.ctypes.data + index * 4 for index in range(sequences)]
        self._ramp = np.arange(size, dtype=np.int32)
        self._size = 0
        self.struct = lib.llama_batch(
            n_tokens=0,
            token=self._tokens.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            embd=None,
            pos=self._positions.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            n_seq_id=self._counts.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
            seq_id=self._id_pointers.ctypes.data_as(ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=self._wanted.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )
        """What `llama_decode` takes; valid until the next `clear`."""

    @property
    def wanted(self) -> int:
        """How many rows of logits are wanted."""
        return int(np.count_nonzero(self._wanted[: self._size]))

    def clear(self) -> None:
        """Begins a new batch."""
        self._size = self.struct.n_tokens = 0

    def add_token(self, sequence: int, token: int, position: int) -> int:
        """Adds one token whose logits are wanted; gives the row to read them from."""
        row = self._size
        self._tokens[row] = token
        self._positions[row] = position
        self._id_pointers[row] = self._addresses[sequence]
        self._wanted[row] = 1
        self._size = self.struct.n_tokens = row + 1
        return row

    def add_guessed(self, sequence: int, tokens: list[int], position: int) -> int:
        """Adds consecutive tokens from `position` on, all of whose logits are wanted; gives the row of the first."""
        start = self._size
        self.add_tokens(sequence, tokens, position, last=True)
        self._wanted[start : self._size] = 1
        return start

    def add_tokens(self, sequence: int, tokens: list[int], position: int, *, last: bool) -> int:
        """Adds consecutive tokens from `position` on; with `last`, the logits of the final one are wanted.

        Gives the row of the final one.
        """
        start, end = self._size, self._size + len(tokens)
        self._tokens[start:end] = tokens
        np.add(self._ramp[: len(tokens)], position, out=self._positions[start:end])
        self._id_pointers[start:end] = self._addresses[sequence]
        self._wanted[start:end] = 0
        self._wanted[end - 1] = last
        self._size = self.struct.n_tokens = end
        return end - 1

    def add_whole(self, sequence: int, tokens: Sequence[int], position: int) -> None:
        """Adds consecutive tokens from `position` on, all of whose states are pooled."""
        start, end = self._size, self._size + len(tokens)
        self.add_tokens(sequence, list(tokens), position, last=True)
        self._wanted[start:end] = 1
