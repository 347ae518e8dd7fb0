"""One question in many words: other heads, synonyms, shortened forms, slips of the finger."""

from __future__ import annotations

import re
import string
import tomllib
from pathlib import Path
from random import Random

DATA = Path(__file__).parent / "data"
_PHRASES = tomllib.loads((DATA / "phrases.toml").read_text(encoding="utf-8"))
_HEADS: list[tuple[tuple[str, ...], list[str]]] = [
    (tuple(sorted(head["from"], key=len, reverse=True)), head["to"]) for head in _PHRASES["head"]
]
_BEFORE: list[str] = _PHRASES["around"]["before"]
_AFTER: list[str] = _PHRASES["around"]["after"]
_SMALL = frozenset(_PHRASES["shortened"]["small"])
_SYNONYMS: dict[str, list[str]] = {}
for _group in _PHRASES["words"]["groups"]:
    for _word in _group:
        _SYNONYMS.setdefault(_word, []).extend(other for other in _group if other != _word)
_SYNONYM = re.compile(r"\b(" + "|".join(sorted(map(re.escape, _SYNONYMS), key=len, reverse=True)) + r")\b", re.I)
_NEIGHBOURS = dict(zip(string.ascii_lowercase, "svxswdfguhjknbiowearycqztx", strict=True))


def _other_head(text: str, rng: Random) -> str:
    lower = text.lower()
    for starts, replacements in _HEADS:
        for start in starts:
            if lower.startswith(start) and len(text) > len(start) + 3:
                return rng.choice(replacements) + text[len(start) :]
    return text


def _synonyms(text: str, rng: Random) -> str:
    return _SYNONYM.sub(lambda m: rng.choice(_SYNONYMS[m[0].lower()]) if rng.random() < 0.4 else m[0], text)


def _keywords(text: str, rng: Random) -> str:
    words = [word.strip("?,.!") for word in text.split()]
    kept = [word for word in words if word.lower() not in _SMALL or "{" in word]
    if rng.random() < 0.3:
        rng.shuffle(kept)
    return " ".join(kept) if len(kept) > 1 else text


def _drop_words(text: str, rng: Random) -> str:
    words = text.split()
    if len(words) < 5:
        return text
    return " ".join(w for w in words if "{" in w or rng.random() > (0.25 if w.lower() in _SMALL else 0.08))


def _slip(word: str, rng: Random) -> str:
    """A word as hurried fingers write it: a letter lost, doubled, exchanged or hit beside."""
    at = rng.randrange(len(word))
    match rng.randrange(4):
        case 0:
            return word[:at] + word[at + 1 :]
        case 1:
            return word[:at] + word[at] + word[at:]
        case 2:
            return word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :]
        case _:
            return word[:at] + _NEIGHBOURS.get(word[at].lower(), word[at]) + word[at + 1 :]


def _typos(text: str, rng: Random) -> str:
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 3 and word.strip("?,.").isalpha()]
    for index in rng.sample(long, min(len(long), rng.choice((1, 1, 2)))):
        words[index] = _slip(words[index], rng)
    return " ".join(words)


def _surface(text: str, rng: Random) -> str:
    """Case and punctuation."""
    dice = rng.random()
    if dice < 0.45:
        text = text.rstrip("?.! ")
    elif dice < 0.55:
        text = text.rstrip("?.! ") + rng.choice(("??", ".", "!", " ?", "...", "?"))
    dice = rng.random()
    if dice < 0.4:
        return text.lower()
    if dice < 0.75:
        return text[:1].upper() + text[1:]
    if dice < 0.77 and "{" not in text:
        return text.upper()
    return text


def vary(question: str, rng: Random) -> str:
    """The question as another person, or the same person in a hurry, would put it. Leaves `{slots}` alone."""
    text = question
    if rng.random() < 0.3:
        return _surface(text, rng)
    if rng.random() < 0.4:
        text = _other_head(text, rng)
    if rng.random() < 0.4:
        text = _synonyms(text, rng)
    dice = rng.random()
    if dice < 0.12:
        text = _keywords(text, rng)
    elif dice < 0.32:
        text = _drop_words(text, rng)
    if rng.random() < 0.12:
        text = rng.choice(_BEFORE) + text
    if rng.random() < 0.12:
        text = text.rstrip("?.! ") + rng.choice(_AFTER) + rng.choice(("", "?"))
    if rng.random() < 0.2:
        text = _typos(text, rng)
    return _surface(text, rng) or question
