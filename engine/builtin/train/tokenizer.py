"""The vocabulary: byte-level BPE over the project's own text, in the shape that llama.cpp calls "qwen2".

Words are learned without what stands before them, and the most frequent ones get a form with a space last. So a name is
cut into the same pieces after a space, a quote or a slash, which makes copying it between a question, a tool call and
an answer learnable for a very small model.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PRINTED = ["<tool_call>", "</tool_call>", "<tools>", "</tools>", "<tool_response>", "</tool_response>"]
PAD, START, END = CONTROL
SIZE = 2048
SPACED = 600
"""How many words get a form with a space before them."""


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(Regex(pattern), "isolated")


def train(texts: list[str]) -> Tokenizer:
    """A tokenizer of `SIZE` tokens learned from `texts`."""
    base = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    base.pre_tokenizer = pre_tokenizers.Sequence([_split(QWEN2), _split(r"\p{L}+"), byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE - SPACED - len(CONTROL) - len(PRINTED),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    base.train_from_iterator(texts, trainer)
    model = models.BPE(**_with_spaced_words(base, texts))
    return _assemble(model)


def _with_spaced_words(base: Tokenizer, texts: Iterable[str]) -> dict[str, object]:
    """The trained vocabulary and merges, and a merge of the space with each of the most frequent words."""
    state = json.loads(base.to_str())["model"]
    vocabulary: dict[str, int] = state["vocab"]
    merges = [tuple(merge) for merge in state["merges"]]
    counts = Counter(word for text in texts for word in re.findall(r" ([A-Za-z]+)", text))
    words = [word for word, _ in counts.most_common() if word in vocabulary]
    for word in words[:SPACED]:
        merges.append(("Ġ", word))
        vocabulary["Ġ" + word] = len(vocabulary)
    return {"vocab": vocabulary, "merges": merges}


def _assemble(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([_split(QWEN2), byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in PRINTED])
    return tokenizer


def load(path: Path) -> Tokenizer:
    """The tokenizer that was saved at `path`."""
    return Tokenizer.from_file(str(path))
