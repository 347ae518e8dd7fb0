"""The tokens that may come next, in the shape that llama.cpp's samplers take them."""

from __future__ import annotations

import ctypes

import numpy as np
from llama_cpp import llama_cpp as lib
from numpy.typing import NDArray

CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""`llama_token_data`."""


def array_of(data: NDArray[np.void]) -> lib.llama_token_data_array:
    """A `llama_token_data_array` over `data`, which has to outlive it."""
    pointer = data.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
    return lib.llama_token_data_array(data=pointer, size=len(data), selected=-1, sorted=False)


class Candidates:
    """Room for the whole vocabulary, used again for every token."""

    def __init__(self, size: int) -> None:
        self._data = np.zeros(size, CANDIDATE)
        self._ids = np.arange(size, dtype=np.int32)
        self.array = array_of(self._data)

    def fill(self, logits: NDArray[np.float32]) -> lib.llama_token_data_array:
        """All tokens with their logits; samplers sort and cut them in place."""
        self._data["id"] = self._ids
        self._data["logit"] = logits
        self.array.size, self.array.selected, self.array.sorted = len(self._ids), -1, False
        return self.array

    def any(self) -> bool:
        """Whether any token is possible."""
        return bool((self._data["logit"] > -np.inf).any())

    def chosen(self) -> tuple[int, float]:
        """The selected token and its logit, after a chain that ends with a choice."""
        entry = self._data[self.array.selected]
        return int(entry["id"]), float(entry["logit"])
