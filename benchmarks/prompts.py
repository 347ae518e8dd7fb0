"""Prompts of given lengths, no two of which begin alike."""

from __future__ import annotations

import random

import aiohttp

import sse
from engine.errors import HostUnreachable

_TEXT = (
    "able above after again air also always animal answer area back base before began below best better between "
    "bird body book both boy call came car care carry change city class clear close cold color come common could "
    "country course cover cross cut dark day deep door down draw drive early earth east eat end enough even ever "
    "every eye face fact fall family far farm fast father few field find fine fire first fish five follow food foot "
    "force form found four free friend full game gave girl give gold good great green ground group grow half hand "
    "hard head hear heat help here high hold home horse hour house idea inch island keep kind king knew know land "
    "large last late learn leave left less letter life light line list little live long look lot love low machine"
)
WORDS = _TEXT.split()


class Prompts:
    """Reproducible from the seed; another seed shares no prompt with this one."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._per_word = 1.0
        self._fixed = 0.0
        self._per_function = 30.0

    async def calibrate(self, session: aiohttp.ClientSession, url: str) -> None:
        """Learns from Footplate's tokenizer how many tokens a word, a function and the template take."""
        few, many = [await _count(session, url, *self._words("calibration", words)) for words in (100, 1100)]
        self._per_word = (many - few) / 1000
        self._fixed = few - 100 * self._per_word
        short, long = [await _count(session, url, *self._program("calibration", count)) for count in (5, 45)]
        self._per_function = (long - short) / 40

    def request(self, name: str, length: int, tokens: int) -> bytes:
        """A request of about `length` prompt tokens for `tokens` tokens; the same one for the same `name`."""
        words = max(12, round((length - self._fixed) / self._per_word))
        return sse.body(*self._words(name, words), tokens)

    def edit(self, name: str, length: int, tokens: int) -> bytes:
        """The same for a program to be given back with one name changed: what is to be written stands in the prompt."""
        functions = max(3, round((length - self._fixed) / self._per_function) - 1)  # the task is as long as one
        return sse.body(*self._program(name, functions), tokens)

    def _program(self, name: str, functions: int) -> tuple[str, str]:
        """System and user message."""
        draw = random.Random(f"{self._seed} {name}")
        names = [f"{draw.choice(WORDS)}_{draw.choice(WORDS)}_{number}" for number in range(functions)]
        program = "\n\n".join(
            f"def {each}(items, {draw.choice(WORDS)}):\n"
            f'    """Counts what is {draw.choice(WORDS)} and {draw.choice(WORDS)}."""\n'
            f"    return sum(item.{draw.choice(WORDS)} > {draw.randrange(1000)} for item in items)"
            for each in names
        )
        task = f"Rename the function {names[-1]} to {names[-1]}_again. Give back the whole program and nothing else."
        return f"{draw.choice(WORDS)} {draw.randrange(10**9)}: you edit programs.", f"{program}\n\n{task}"

    def _words(self, name: str, count: int) -> tuple[str, str]:
        """System and user message, `count` words in all; the system message comes first, so it differs first."""
        words = random.Random(f"{self._seed} {name}").choices(WORDS, k=count)
        return " ".join(words[:8]), " ".join(words[8:])


async def _count(session: aiohttp.ClientSession, url: str, system: str, user: str) -> int:
    """Tokens of a prompt, template included."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    async with session.post(f"{url}/v1/tokenize", json={"messages": messages}) as response:
        if response.status != 200:
            raise HostUnreachable(f"{url} did not count tokens: {await response.text()}")
        return int((await response.json())["count"])
