"""The bodies of requests as clients send them: wide where real clients are.

Keys that are not named here are ignored. What the values may be is `decode`'s business.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, field

Whole = int | float | None
"""A whole number; to JSON, and to some clients, 100.0 is one."""


class Part(Struct, frozen=True, kw_only=True):
    """A part of a message's content; only `text` is understood."""

    type: str
    text: str | None = None


class CalledFunction(Struct, frozen=True, kw_only=True):
    """The function of a call; the arguments are JSON text, though some clients send the object itself."""

    name: str
    arguments: str | dict[str, Any] | None = None


class Call(Struct, frozen=True, kw_only=True):
    """A tool call that an assistant message repeats."""

    function: CalledFunction
    id: str | None = None


class WireMessage(Struct, frozen=True, kw_only=True):
    """One message."""

    role: str
    content: str | list[str | Part] | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str | None = None
    name: str | None = None


class Function(Struct, frozen=True, kw_only=True):
    """The function a tool stands for."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Struct, frozen=True, kw_only=True):
    """A tool; only functions are understood."""

    type: str = "function"
    function: Function | None = None


class NamedFunction(Struct, frozen=True, kw_only=True):
    """The function a `tool_choice` names."""

    name: str


class Choice(Struct, frozen=True, kw_only=True):
    """A `tool_choice` that is an object."""

    type: str = "function"
    function: NamedFunction | None = None


class NamedSchema(Struct, frozen=True, kw_only=True):
    """The `json_schema` of a response format."""

    schema: Any = UNSET
    name: str | None = None
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True, kw_only=True):
    """What form the answer is to have."""

    type: str
    json_schema: NamedSchema | None = None
    schema: Any = UNSET
    """Where llama-server's clients put the schema."""


class WantedAdapter(Struct, frozen=True, kw_only=True):
    """A LoRA adapter, by its name or by its number."""

    name: str | None = None
    id: Whole = None
    scale: float | None = None


class SamplingBody(Struct, frozen=True, kw_only=True):
    """What chat completions and completions have in common."""

    model: str | None = None
    stream: bool | None = None
    stream_options: Any = None
    max_tokens: Whole = None
    max_completion_tokens: Whole = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: Whole = None
    n: Whole = None
    response_format: ResponseFormat | None = None
    logit_bias: dict[str, float] | None = None
    top_k: Whole = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    ignore_eos: bool | None = None
    typical_p: float | None = None
    repeat_last_n: Whole = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dry_multiplier: float | None = None
    dry_base: float | None = None
    dry_allowed_length: Whole = None
    dry_penalty_last_n: Whole = None
    dry_sequence_breakers: list[str] | None = None
    mirostat: Whole = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    grammar: str | None = None
    speculative_n_max: Whole = field(default=None, name="speculative.n_max")
    """llama-server's name, with the dot."""
    lora: list[WantedAdapter] | None = None


class ChatBody(SamplingBody, frozen=True, kw_only=True):
    """The body of a chat completion."""

    messages: list[WireMessage]
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    parallel_tool_calls: bool | None = None
    logprobs: bool | None = None
    top_logprobs: Whole = None
    functions: Any = None
    function_call: Any = None


class CompletionBody(SamplingBody, frozen=True, kw_only=True):
    """The body of a completion."""

    prompt: str | list[str | int | float | list[int | float]]
    suffix: str | None = None
    echo: bool | None = None
    best_of: Whole = None
    logprobs: Whole = None


class TokenizeBody(Struct, frozen=True, kw_only=True):
    """The body of a request for the tokens of a text, or of a conversation."""

    content: str | None = None
    messages: list[WireMessage] | None = None
    tools: list[Tool] | None = None
    model: str | None = None
    add_special: bool | None = None
    parse_special: bool | None = None
    with_pieces: bool | None = None


class DetokenizeBody(Struct, frozen=True, kw_only=True):
    """The body of a request for the text of tokens."""

    tokens: list[int | float]
    model: str | None = None


class EmbeddingsBody(Struct, frozen=True, kw_only=True):
    """The body of a request for vectors."""

    input: str | list[str | int | float | list[int | float]]
    model: str | None = None
    encoding_format: str | None = None
    dimensions: Whole = None


class Document(Struct, frozen=True, kw_only=True):
    """A document or query that is an object."""

    text: str


class RerankBody(Struct, frozen=True, kw_only=True):
    """The body of a request for scores, as Jina's and Cohere's clients send it."""

    query: str | Document
    documents: list[str | Document]
    model: str | None = None
    top_n: Whole = None
    return_documents: bool | None = None
