"""Questions that Guide cannot answer, and how it says so."""

from __future__ import annotations

import re
import tomllib
from random import Random
from typing import Any

from engine.builtin.train.exchange import Exchange
from engine.builtin.train.foreign_tools import foreign_tools
from engine.builtin.train.phrasing import DATA, vary
from engine.builtin.train.values import fill

_SCOPE: dict[str, Any] = tomllib.loads((DATA / "scope.toml").read_text(encoding="utf-8"))
_NOBODYS = re.compile(
    r"\{(?!dish|sport|animal|science|instrument|plant|body|pain|film|book)|file|run|time|list|add|note|send|weather"
)
_CLEAR: list[str] = [question for question in _SCOPE["ask"] if not _NOBODYS.search(question)]
"""What none of the tools of `foreign_tools` could answer."""
_ANSWERS: list[str] = tomllib.loads((DATA / "systems.toml").read_text(encoding="utf-8"))["refusal"]["answers"]
MARK = "small guide"
"""Every refusal contains it."""


def ask(rng: Random, *, held_out: bool = False, tools: bool = False) -> Exchange:
    """A question out of scope; one in five would be for a tool that nobody offered, unless there are `tools`."""
    if held_out:
        question = fill(rng.choice(_SCOPE["held_out"]), {}, rng, _SCOPE["lists"])
    elif tools:
        question = fill(vary(rng.choice(_CLEAR), rng), {}, rng, _SCOPE["lists"])
    elif rng.random() < 0.2:
        question = foreign_tools(1, rng)[0].ask(rng).question
    else:
        question = fill(vary(rng.choice(_SCOPE["ask"]), rng), {}, rng, _SCOPE["lists"])
    return Exchange(question, rng.choice(_ANSWERS))
