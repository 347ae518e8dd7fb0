"""What all nouns are made of."""

from __future__ import annotations

from msgspec import Struct


class Noun(Struct, frozen=True, omit_defaults=True):
    """Base of all nouns: immutable, built by keyword, defaults left out on the wire, but for what scripts read."""
