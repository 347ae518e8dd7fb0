"""What is asked of a model, and what comes back."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from engine.types.adapters import AdapterWish
from engine.types.noun import Noun

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "error"]


class ToolDefinition(Noun, frozen=True, kw_only=True):
    """A function the model may call."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    """JSON schema of the arguments."""
    strict: bool = False
    """A forced call fails when the schema cannot be kept to the letter; otherwise any JSON object will do then."""


class ToolCall(Noun, frozen=True, kw_only=True):
    """A call that a model made."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


class ToolChoice(Noun, frozen=True, kw_only=True):
    """Whether and which tool has to be called."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None
    """The tool's name in mode `named`."""


class Message(Noun, frozen=True, kw_only=True):
    """One message of a conversation, as a template sees it."""

    role: Role
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """On a `tool` message: the call it answers."""
    name: str | None = None


class Sampling(Noun, frozen=True, kw_only=True):
    """How the next token is chosen; `None` leaves the choice to the model's own defaults."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    """The same seed draws the same numbers. The text is the same when the logits are, whose last bits depend on what
    else runs and on what of the prompt was cached, and where."""
    typical_p: float | None = None
    repeat_last_n: int | None = None
    """Tokens that the repeat penalty looks back, prompt included; -1 is the whole context."""
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dry_multiplier: float | None = None
    """Above 0: repeated sequences are penalized (DRY)."""
    dry_base: float | None = None
    dry_allowed_length: int | None = None
    dry_penalty_last_n: int | None = None
    """Tokens in which DRY looks for repetitions, prompt included; -1 is the whole context."""
    dry_sequence_breakers: tuple[str, ...] | None = None
    mirostat: int | None = None
    """1 or 2 for that version of Mirostat, which then takes the place of the truncating samplers; 0 for none."""
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    logit_bias: dict[int, float] | None = None
    """What is added to the logits of single tokens, by their ids."""


class AnswerFormat(Noun, frozen=True, kw_only=True):
    """The form that an answer must have."""

    kind: Literal["text", "json", "schema", "grammar"] = "text"
    """`json` is any JSON object."""
    schema: Any = None
    """A JSON schema, for the kind `schema`."""
    grammar: str = ""
    """A GBNF grammar with a rule `root`, for the kind `grammar`."""


class GenerateRequest(Noun, frozen=True, kw_only=True):
    """What is asked of a model: messages (rendered by its template) or a raw prompt."""

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    """Raw text instead of `messages`; no template is applied."""
    prompt_tokens: tuple[int, ...] | None = None
    """Token ids instead of `messages` and `prompt`."""
    suffix: str | None = None
    """What comes after the gap that the answer fills; `prompt` is what comes before it."""
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    """One answer may call several tools."""
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """At most so many tokens; `None` is all that is left of the context, and more than is left is clipped to it."""
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    format: AnswerFormat = AnswerFormat()
    top_logprobs: int | None = None
    """Log probabilities are wanted: those of the tokens sampled, and of so many of the likeliest at each place."""
    most_drafted: int | None = None
    """At most so many tokens are guessed ahead in a step and proved together, where the runtime can; the answer is
    drawn as without. 0 is none, `None` leaves it to the runtime."""
    adapters: tuple[AdapterWish, ...] | None = None
    """The adapters to answer with, and no others; `None` is what the model was loaded with."""
    n: int = 1
    """So many answers to one prompt, which is computed once."""


class ToolCallDelta(Noun, frozen=True, kw_only=True):
    """A piece of a tool call; the first piece of an index carries `id` and `name`."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class TokenLogprob(Noun, frozen=True, kw_only=True):
    """A token and how likely the model found it, before any sampling parameter."""

    piece: bytes
    """The token's bytes, which may be a part of a character; the spelling of a control token."""
    logprob: float
    """Natural logarithm."""
    top: tuple[TokenLogprob, ...] = ()
    """The likeliest tokens at this place, the first of them first."""


class Delta(Noun, tag=True, frozen=True, kw_only=True):
    """What was generated since the last delta."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    tokens: int = 0
    """Tokens sampled for this delta."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Where they were asked for: the tokens that have been sampled, reasoning and calls included."""
    choice: int = 0
    """Which of the request's answers this belongs to."""
    finish: FinishReason | None = None
    """Where several answers were asked for: this one is complete, and why. `Finish` follows when all are."""


class TokenizeRequest(Noun, frozen=True, kw_only=True):
    """Text, or the prompt of a request, to be cut into tokens."""

    text: str = ""
    add_special: bool = False
    """Begin with the token that begins a sequence, where the model has one."""
    parse_special: bool = True
    """Spellings of control tokens become these tokens."""
    request: GenerateRequest | None = None
    """Instead of text: its messages, rendered as they would be for an answer."""


class Tokens(Noun, frozen=True, kw_only=True):
    """Token ids and the bytes of each."""

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]


class Prefill(Noun, tag=True, frozen=True, kw_only=True):
    """How much of the prompt has been computed."""

    done: int
    total: int
    cached: int = 0
    """Tokens of `done` that were reused rather than computed."""


class Usage(Noun, frozen=True, kw_only=True):
    """Tokens of one generation."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    drafted_tokens: int = 0
    """Tokens that were guessed ahead and computed."""
    accepted_tokens: int = 0
    """How many of them are in the answer."""


class Timings(Noun, frozen=True, kw_only=True):
    """Where the time of one generation went, in seconds."""

    queued_s: float = 0.0
    """From arrival in the worker to the first step."""
    prefill_s: float = 0.0
    """From the first step to the first token: with `queued_s` the worker's share of TTFT."""
    decode_s: float = 0.0
    """From the first token to the last."""


class Finish(Noun, tag=True, frozen=True, kw_only=True):
    """The end of a generation."""

    reason: FinishReason
    usage: Usage
    timings: Timings = Timings()


Output = Delta | Prefill | Finish
"""What `generate` yields: any number of deltas and prefill notes, then one finish."""
