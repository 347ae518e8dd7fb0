"""Which control tokens are shown: those that are named, found by the tokenizer itself."""

from __future__ import annotations

from engine.runtimes.scripted.vocabulary import ScriptedVocabulary
from engine.text.detokenize import Detokenizer
from engine.text.markers import visible

WORDS = ("[TOOL_CALLS]", "[ARGS]", "[HIDDEN]")


class WithBeginning(ScriptedVocabulary):
    """A tokenizer that begins every text with a token of its own."""

    def encode(self, text: str, *, special: bool) -> list[int]:
        return [2, *super().encode(text, special=special)]


def test_named_control_tokens_are_found_and_words_that_are_none_are_not() -> None:
    for vocabulary in (ScriptedVocabulary(WORDS), WithBeginning(WORDS)):
        found = visible(vocabulary, ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "</s>"))
        assert found == {3: b"[TOOL_CALLS]", 4: b"[ARGS]"}


def test_only_visible_control_tokens_are_rendered() -> None:
    vocabulary = ScriptedVocabulary(WORDS)
    tokens = vocabulary.answer("ü[TOOL_CALLS]now[HIDDEN][ARGS]{}")
    assert Detokenizer(vocabulary.piece).feed(tokens) == "ünow{}"
    shown = visible(vocabulary, ("[TOOL_CALLS]", "[ARGS]"))
    assert Detokenizer(vocabulary.piece, shown).feed(tokens) == "ü[TOOL_CALLS]now[ARGS]{}"
