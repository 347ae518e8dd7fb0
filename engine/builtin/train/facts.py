"""The facts the model learns, read from `engine/builtin/facts/*.toml`. Standard library only."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FACTS = Path(__file__).parent.parent / "facts"


@dataclass(frozen=True)
class Fact:
    """One thing the model knows, and the ways of asking for it."""

    id: str
    kind: str
    keys: tuple[str, ...]
    """The keys that the answer names, in Textual's spelling."""
    ask: tuple[str, ...]
    held_out: tuple[str, ...]
    """Phrasings never trained on; they measure whether the question is understood."""
    answer: tuple[str, ...]
    terms: tuple[tuple[str, ...], ...]
    """A right answer contains a member of each group."""

    def satisfied(self, text: str) -> bool:
        """Whether `text` answers this fact's question."""
        lower = text.lower()
        return all(any(term.lower() in lower for term in group) for group in self.terms)


def load_facts(folder: Path = FACTS) -> list[Fact]:
    """Every fact of every file in `folder`, in the order of the file names."""
    return [
        _fact(entry)
        for path in sorted(folder.glob("*.toml"))
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["fact"]
    ]


def _fact(entry: dict[str, Any]) -> Fact:
    return Fact(
        id=entry["id"],
        kind=entry["kind"],
        keys=tuple(entry["keys"]),
        ask=tuple(entry["ask"]),
        held_out=tuple(entry["held_out"]),
        answer=tuple(entry["answer"]),
        terms=tuple(tuple(group) for group in entry["terms"]),
    )
