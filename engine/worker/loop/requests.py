"""What a request asks of the loaded model: whether it can, and prompts that need no template."""

from __future__ import annotations

import msgspec

from engine.errors import BadInput, Unsupported
from engine.types import GenerateRequest, LoadedFacts, Sampling
from engine.worker.backend import Infill, Vocabulary

MOST_CHOICES = 128


def check_abilities(request: GenerateRequest, facts: LoadedFacts) -> None:
    """Raises `Unsupported`, naming the field, for what the runtime cannot do; `BadInput` for a wrong `n`."""
    unknown = [name for name, value in msgspec.structs.asdict(request.sampling).items() if value is not None]
    for able, param, what in (
        *((name in facts.sampling, name, f"{name} is not known to this model's runtime") for name in unknown),
        (facts.logprobs or request.top_logprobs is None, "logprobs", "This model's runtime tells no log probabilities"),
        (
            facts.grammar or request.format.kind == "text",
            "response_format",
            "This model's runtime cannot hold answers to a form",
        ),
    ):
        if not able:
            raise Unsupported(f"{what}.", remedy=f"Leave {param} out, or choose another model.", param=param)
    if not 1 <= request.n <= MOST_CHOICES:
        raise BadInput(f"n is {request.n}.", remedy=f"It lies between 1 and {MOST_CHOICES}.", param="n")


def for_choice(sampling: Sampling, choice: int) -> Sampling:
    """`sampling` for one of several answers: a seed that is given makes each of them its own, in a fixed way."""
    if sampling.seed is None or not choice:
        return sampling
    return msgspec.structs.replace(sampling, seed=sampling.seed + choice)


def plain_prompt(request: GenerateRequest, vocabulary: Vocabulary, infill: Infill | None) -> tuple[int, ...]:
    """The tokens of a prompt without a template. Raises `Unsupported` for a suffix where the model fills no gaps."""
    tokens = request.prompt_tokens
    if tokens is None:
        tokens = tuple(vocabulary.encode(request.prompt or "", special=True))
    elif tokens and not (min(tokens) >= 0 and max(tokens) < vocabulary.size):
        raise BadInput(
            "The prompt has tokens that are not in the model's vocabulary.",
            remedy=f"They lie between 0 and {vocabulary.size - 1}.",
            param="prompt",
        )
    if request.suffix is None:
        return tokens
    if infill is None:
        raise Unsupported(
            "This model was not made to fill gaps.",
            meaning="Its vocabulary lacks the control tokens for that.",
            remedy="Leave suffix out, or choose a model for code completion.",
            param="suffix",
        )
    begin = tuple(vocabulary.encode("", special=False))
    suffix = vocabulary.encode(request.suffix, special=False)[len(begin) :]
    if tokens[: len(begin)] == begin:
        tokens = tokens[len(begin) :]
    return (*begin, infill.prefix, *tokens, infill.suffix, *suffix, infill.middle)
