"""The nouns every room shares: frozen structs without behaviour.

Sizes are bytes, times are seconds unless a field says otherwise; `None` means unknown, never zero.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct, field

from engine.errors import ErrorInfo

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "cancelled", "error"]


class _Noun(Struct, frozen=True, omit_defaults=True):
    """Base of all nouns: immutable, built by keyword, defaults left out on the wire, but for what scripts read."""


class ToolDefinition(_Noun, frozen=True, kw_only=True):
    """A function the model may call."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    """JSON schema of the arguments."""
    strict: bool = False
    """A forced call fails when the schema cannot be kept to the letter; otherwise any JSON object will do then."""


class ToolCall(_Noun, frozen=True, kw_only=True):
    """A call that a model made."""

    id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


class ToolChoice(_Noun, frozen=True, kw_only=True):
    """Whether and which tool has to be called."""

    mode: Literal["auto", "none", "required", "named"] = "auto"
    name: str | None = None
    """The tool's name in mode `named`."""


class Message(_Noun, frozen=True, kw_only=True):
    """One message of a conversation, as a template sees it."""

    role: Role
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """On a `tool` message: the call it answers."""
    name: str | None = None


class Sampling(_Noun, frozen=True, kw_only=True):
    """How the next token is chosen; `None` leaves the choice to the model's own defaults."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
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


class AnswerFormat(_Noun, frozen=True, kw_only=True):
    """The form that an answer must have."""

    kind: Literal["text", "json", "schema", "grammar"] = "text"
    """`json` is any JSON object."""
    schema: Any = None
    """A JSON schema, for the kind `schema`."""
    grammar: str = ""
    """A GBNF grammar with a rule `root`, for the kind `grammar`."""


class GenerateRequest(_Noun, frozen=True, kw_only=True):
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
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    """At most so many tokens; `None` is all that is left of the context, and more than is left is clipped to it."""
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False
    format: AnswerFormat = AnswerFormat()
    top_logprobs: int | None = None
    """Log probabilities are wanted: those of the tokens sampled, and of so many of the likeliest at each place."""
    n: int = 1
    """So many answers to one prompt, which is computed once."""


class ToolCallDelta(_Noun, frozen=True, kw_only=True):
    """A piece of a tool call; the first piece of an index carries `id` and `name`."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""


class TokenLogprob(_Noun, frozen=True, kw_only=True):
    """A token and how likely the model found it, before any sampling parameter."""

    piece: bytes
    """The token's bytes, which may be a part of a character; the spelling of a control token."""
    logprob: float
    """Natural logarithm."""
    top: tuple[TokenLogprob, ...] = ()
    """The likeliest tokens at this place, the first of them first."""


class Delta(_Noun, tag=True, frozen=True, kw_only=True):
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


class TokenizeRequest(_Noun, frozen=True, kw_only=True):
    """Text, or the prompt of a request, to be cut into tokens."""

    text: str = ""
    add_special: bool = False
    """Begin with the token that begins a sequence, where the model has one."""
    parse_special: bool = True
    """Spellings of control tokens become these tokens."""
    request: GenerateRequest | None = None
    """Instead of text: its messages, rendered as they would be for an answer."""


class Tokens(_Noun, frozen=True, kw_only=True):
    """Token ids and the bytes of each."""

    ids: tuple[int, ...]
    pieces: tuple[bytes, ...]


class Prefill(_Noun, tag=True, frozen=True, kw_only=True):
    """How much of the prompt has been computed."""

    done: int
    total: int
    cached: int = 0
    """Tokens of `done` that were reused rather than computed."""


class Usage(_Noun, frozen=True, kw_only=True):
    """Tokens of one generation."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


class Timings(_Noun, frozen=True, kw_only=True):
    """Where the time of one generation went, in seconds."""

    queued_s: float = 0.0
    """From arrival in the worker to the first step."""
    prefill_s: float = 0.0
    """From the first step to the first token: with `queued_s` the worker's share of TTFT."""
    decode_s: float = 0.0
    """From the first token to the last."""


class Finish(_Noun, tag=True, frozen=True, kw_only=True):
    """The end of a generation."""

    reason: FinishReason
    usage: Usage
    timings: Timings = Timings()


Output = Delta | Prefill | Finish
"""What `generate` yields: any number of deltas and prefill notes, then one finish."""


class ModelEntry(_Noun, frozen=True, kw_only=True):
    """A model the catalog knows. Everything but id, path, format and size comes from its metadata."""

    id: str
    """The name by which people and API requests choose it."""
    path: str
    format: str
    """`gguf`, `scripted`, …"""
    size: int
    name: str = ""
    architecture: str | None = None
    parameters: int | None = None
    quantization: str | None = None
    context_length: int | None = None
    """The context the model was trained for, in tokens."""
    runtimes: tuple[str, ...] = ()
    """Runtimes here that can open it."""
    builtin: bool = False
    error: ErrorInfo | None = None
    """Why it cannot be used, when it cannot."""


class Gpu(_Noun, frozen=True, kw_only=True):
    """One graphics card; memory in bytes."""

    name: str
    index: int
    memory: int | None = None
    memory_free: int | None = None


class Hardware(_Noun, frozen=True, kw_only=True):
    """What this machine has: facts read once, and the memory that was free when they were read."""

    cpu: str | None = None
    cores: int | None = None
    """Physical cores this process may use."""
    threads: int | None = None
    """Logical processors this process may use."""
    features: tuple[str, ...] = ()
    """Instruction sets that matter for inference, such as `avx2`, `avx512f`, `amx_int8`."""
    memory: int | None = None
    memory_free: int | None = None
    gpus: tuple[Gpu, ...] = ()


class LoadPlan(_Noun, frozen=True, kw_only=True):
    """With which options a model is to be loaded, and why."""

    runtime: str
    context: int
    """Tokens per sequence."""
    slots: int
    """Sequences at once."""
    memory: int
    """Estimated bytes of the loaded model: weights, KV cache, compute buffers, overhead."""
    options: dict[str, Any] = field(default_factory=dict)
    """The runtime's own load options (its `spec.Options` as plain data)."""
    reasons: tuple[str, ...] = ()
    """One sentence for each thing that was decided."""


class LoadedFacts(_Noun, frozen=True, kw_only=True):
    """What a worker reports once its model is loaded."""

    context: int
    slots: int
    device: str
    memory: int | None = None
    """Bytes really taken by the worker."""
    load_s: float = 0.0
    tools: bool = False
    """The template can be given tools."""
    prefix_reuse: Literal["any", "checkpoints"] = "any"
    """Where a prompt that was computed before can be taken up: anywhere, or where a state was kept (models whose memory
    slides or is recurrent: shortly before the last prompt's end)."""
    sampling: tuple[str, ...] = ()
    """The fields of `Sampling` that the runtime obeys."""
    grammar: bool = False
    """Answers can be held to a grammar."""
    logprobs: bool = False
    """Log probabilities can be told."""
    infill: bool = False
    """The model was made to fill gaps, too (`GenerateRequest.suffix`)."""
    notices: tuple[str, ...] = ()
    """Sentences the user should see, such as a disabled fast path and its cure."""


class WorkerState(StrEnum):
    """The life of a worker."""

    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    UNLOADING = "unloading"
    GONE = "gone"
    CRASHED = "crashed"


class WorkerStats(_Noun, frozen=True, kw_only=True):
    """Live numbers of one worker."""

    running: int = 0
    waiting: int = 0
    context_used: int = 0
    """Tokens in the KV cache."""
    decode_tok_s: float | None = None
    memory: int | None = None


class WorkerInfo(_Noun, frozen=True, kw_only=True, omit_defaults=False):
    """One worker as the screen shows it."""

    model: str
    runtime: str
    state: WorkerState
    pid: int | None = None
    progress: float | None = None
    """Share of the load that is done, 0 to 1."""
    plan: LoadPlan | None = None
    facts: LoadedFacts | None = None
    stats: WorkerStats | None = None
    error: ErrorInfo | None = None
    """Why it crashed or is held back."""


class ApiState(_Noun, frozen=True, kw_only=True, omit_defaults=False):
    """The TCP listener."""

    enabled: bool = False
    url: str | None = None
    key_required: bool = False
    error: ErrorInfo | None = None


class ChatMessage(_Noun, frozen=True, kw_only=True):
    """A stored message of a conversation."""

    id: int
    message: Message
    created: float
    """Unix time."""
    state: Literal["complete", "writing", "stopped", "failed"] = "complete"
    model: str | None = None
    finish: Finish | None = None
    ttft_s: float | None = None
    """Time from sending the turn to the first token, as the host saw it."""
    error: ErrorInfo | None = None


class ConversationSummary(_Noun, frozen=True, kw_only=True):
    """A line of the list of conversations."""

    id: int
    title: str
    updated: float
    model: str | None = None
    busy: bool = False


class Conversation(_Noun, frozen=True, kw_only=True):
    """A conversation with all its messages, oldest first."""

    summary: ConversationSummary
    messages: tuple[ChatMessage, ...] = ()


class HostStatus(_Noun, frozen=True, kw_only=True, omit_defaults=False):
    """What `footplate status` prints and a screen starts from."""

    version: str
    pid: int
    started: float
    serve: bool
    """Started by `--serve`: it stays until it is stopped."""
    home: str
    active_model: str
    workers: tuple[WorkerInfo, ...] = ()
    api: ApiState = ApiState()
    screens: int = 0
    """Attached screens."""
    turns: int = 0
    """Chat turns under way."""
    requests: int = 0
    """API requests under way."""
