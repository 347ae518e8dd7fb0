"""What the built-in model learns about keys is what the app obeys."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tui.commands import COMMANDS, key_name

FACTS = sorted((Path(__file__).parents[2] / "engine" / "builtin" / "facts").glob("*.toml"))
KEYS = {"slash" if key == "/" else key for command in COMMANDS for key in command.keys}
SPELLED = re.compile(r"\b(?:Ctrl|Alt)\+(?:[A-Z]|\d|Enter)\b|\bF\d\b")


@pytest.mark.parametrize("file", FACTS, ids=lambda file: file.stem)
def test_every_key_of_the_facts_is_a_key_of_the_app(file: Path) -> None:
    facts = tomllib.loads(file.read_text())["fact"]
    named = {(fact["id"], key) for fact in facts for key in fact["keys"]}
    assert [pair for pair in named if pair[1] not in KEYS] == []


@pytest.mark.parametrize("file", FACTS, ids=lambda file: file.stem)
def test_every_key_that_an_answer_spells_is_a_key_of_the_app(file: Path) -> None:
    known = {key_name(key) for key in KEYS}
    facts = tomllib.loads(file.read_text())["fact"]
    spelled = {(fact["id"], key) for fact in facts for answer in fact["answer"] for key in SPELLED.findall(answer)}
    assert spelled or file.stem in {"words", "talk"}
    assert [pair for pair in spelled if pair[1] not in known] == []
