"""Adapters (LoRA): what is loaded beside a model, and which of it a request wants."""

from __future__ import annotations

from engine.types.noun import Noun


class Adapter(Noun, frozen=True, kw_only=True):
    """An adapter that was loaded with a model; its place in the list is its id."""

    name: str
    """Its file's name, without the ending."""
    scale: float = 1.0
    """How strongly it is applied where a request does not say; 0 is not at all."""


class AdapterWish(Noun, frozen=True, kw_only=True):
    """An adapter that a request wants applied, by name or by id."""

    name: str | None = None
    id: int | None = None
    scale: float = 1.0
