"""From a request to a job: template, tokens, and what is left of the context."""

from __future__ import annotations

import itertools
import secrets
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.errors import BadInput, ContextLengthExceeded, TemplateError, Unsupported
from engine.text import chatml, reasoning
from engine.text.grammar.calls import answer_grammar
from engine.text.guard import Guard
from engine.text.markers import visible
from engine.text.reasoning import ReasoningSplitter
from engine.text.sampling import GENERAL, merged
from engine.text.stream import TextStream
from engine.text.template import ChatTemplate, message_data, tool_data
from engine.text.tool_calls import choose
from engine.text.tool_calls.forcing import calls_or_answer, forced_calls
from engine.types import Delta, GenerateRequest, LoadedFacts, Message
from engine.worker.backend import Backend, Job
from engine.worker.loop.adapters import adapter_set
from engine.worker.loop.requests import check_abilities, for_choice, plain_prompt


class PreparedAnswer(Struct, frozen=True, kw_only=True):
    """One answer that can begin."""

    job: Job
    stream: TextStream
    begun: tuple[Delta, ...] = ()
    """What the answer begins with already: the head of a call that had to be made."""


class Prepared(Struct, frozen=True, kw_only=True):
    """A request that can begin."""

    answers: tuple[PreparedAnswer, ...]
    """One for each choice; their prompts are the same."""


class Preparer:
    """Turns the requests for one loaded model into jobs."""

    def __init__(self, backend: Backend, facts: LoadedFacts) -> None:
        self._vocabulary = backend.vocabulary
        self._defaults = backend.text.defaults
        self._infill = backend.text.infill
        self._facts = facts
        self._context = facts.context
        self._ids = itertools.count(1)
        self._guard = Guard(backend.vocabulary, bos=backend.text.bos)
        source = backend.text.template
        self._syntax = choose(chatml.TEMPLATE if source is None else source)
        self._marks = reasoning.choose(source or "")
        words = self._syntax.markers if self._syntax else ()
        self._visible = visible(self._vocabulary, self._marks.markers)
        marked = visible(self._vocabulary, words)
        self._tokens = {spelling.decode(): token for token, spelling in marked.items()}
        self._visible_with_calls = self._visible | marked
        self._template: ChatTemplate | None = None
        self._fault: TemplateError | None = None
        try:
            self._template = ChatTemplate(source or chatml.TEMPLATE, bos=backend.text.bos, eos=backend.text.eos)
        except TemplateError as error:
            self._fault = error
        self.notices = self._noted(without_template=source is None)
        """What the user should know about the template."""

    @property
    def tools(self) -> bool:
        """Tools can be given, and calls understood."""
        return self._template is not None and self._template.tools and self._syntax is not None

    def prepare(self, request: GenerateRequest) -> Prepared:
        """The jobs for `request`, one for each answer.

        Raises `ContextLengthExceeded`, `TemplateError`, `Unsupported` (tools for a model without), `BadInput`.
        """
        check_abilities(request, self._facts)
        adapters = adapter_set(request.adapters, self._facts.adapters)
        tokens, opening, opened = self._prompt(request)
        room = self._room(len(tokens), request.max_tokens)
        sampling = merged(request.sampling, self._defaults, GENERAL)
        answers = []
        for choice in range(request.n):
            stream = self._stream(request, begun=opening is not None, opened=opened)
            begun = stream.prime(self._guard.plain(opening)) if opening else []
            job = Job(
                id=next(self._ids),
                tokens=tokens,
                sampling=for_choice(sampling, choice),
                max_tokens=room,
                ignore_eos=request.ignore_eos,
                grammar=self._grammar(request, opening),
                top_logprobs=request.top_logprobs,
                most_drafted=request.most_drafted,
                adapters=adapters,
            )
            answers.append(PreparedAnswer(job=job, stream=stream, begun=tuple(begun)))
        return Prepared(answers=tuple(answers))

    def prompt(self, request: GenerateRequest) -> tuple[int, ...]:
        """The tokens that an answer to `request` would follow. Raises as `prepare` does."""
        return self._prompt(request)[0]

    def _prompt(self, request: GenerateRequest) -> tuple[tuple[int, ...], str | None, bool]:
        """The prompt, the beginning of a call when the answer has to be one, and whether it ends inside reasoning."""
        if request.prompt is not None or request.prompt_tokens is not None:
            return plain_prompt(request, self._vocabulary, self._infill), None, False
        rendered, opening = self._render(request)
        opened = opening is None and self._marks.opened_by(rendered)
        if opened and request.format.kind != "text":
            # What has to keep to a grammar is the answer; reasoning would have to keep to it, too.
            rendered, opened = f"{rendered}\n{self._marks.close}\n\n", False
        return tuple(self._guard.tokens(rendered + (opening or ""))), opening, opened

    def _grammar(self, request: GenerateRequest, opening: str | None) -> str:
        """What the answer is held to; empty for anything."""
        if self._syntax is None or not request.messages or not _offers_tools(request):
            return answer_grammar(request.format)
        several = request.parallel_tool_calls
        if opening is not None:
            if not self._facts.grammar:
                return ""
            name = request.tool_choice.name if request.tool_choice.mode == "named" else None
            return forced_calls(self._syntax, request.tools, name, several=several, tokens=self._tokens)
        if request.format.kind != "text":
            return calls_or_answer(self._syntax, request.tools, request.format, several=several, tokens=self._tokens)
        return ""

    def _room(self, prompt: int, wanted: int | None) -> int:
        if not prompt:
            raise BadInput("The prompt is empty.", param="prompt")
        if prompt >= self._context:
            raise ContextLengthExceeded.of(self._context, prompt)
        if wanted is not None and wanted < 1:
            raise BadInput(f"max_tokens is {wanted}; it must be at least 1.", param="max_tokens")
        left = self._context - prompt
        return left if wanted is None else min(wanted, left)

    def _render(self, request: GenerateRequest) -> tuple[str, str | None]:
        """The prompt, and the beginning of a call when the answer has to be one; both guarded."""
        if self._template is None:
            raise self._fault or TemplateError("The model has no usable chat template.")
        if not request.messages:
            raise BadInput("There are no messages.", param="messages")
        tools: list[Any] = []
        if _offers_tools(request):
            if not self.tools:
                raise Unsupported(
                    "This model cannot be given tools.",
                    meaning="Its chat template has no place for them, or its way of calling tools is not known.",
                    remedy="Leave the tools out, or choose a model made for tool calls.",
                    param="tools",
                )
            tools = [self._guard.protect(tool_data(tool)) for tool in request.tools]
        messages = [self._guard.protect(message_data(self._own_ids(message))) for message in request.messages]
        rendered = self._template.render(messages, tools)
        opening = self._opening(request)
        if opening is not None and self._marks.opened_by(rendered):
            rendered += f"\n{self._marks.close}\n\n"
        return rendered, opening

    def _own_ids(self, message: Message) -> Message:
        """A message with ids of calls as the template takes them: another model may have made the calls."""
        if self._syntax is None:
            return message
        calls = tuple(replace(call, id=self._syntax.own_id(call.id)) for call in message.tool_calls)
        answered = None if message.tool_call_id is None else self._syntax.own_id(message.tool_call_id)
        return replace(message, tool_calls=calls, tool_call_id=answered)

    def _opening(self, request: GenerateRequest) -> str | None:
        choice = request.tool_choice
        if self._syntax is None or not _offers_tools(request) or choice.mode not in ("required", "named"):
            return None
        name = choice.name if choice.mode == "named" else None
        if choice.mode == "named" and name not in {tool.name for tool in request.tools}:
            raise BadInput(f"tool_choice names {name!r}, which is not among the tools.", param="tool_choice")
        return self._syntax.opening(None if name is None else self._guard.protect(name))

    def _stream(self, request: GenerateRequest, *, begun: bool, opened: bool) -> TextStream:
        """What reads the answer; when a call has `begun` in the prompt, reasoning is over."""
        if not request.messages:
            return TextStream(self._vocabulary.piece, stops=request.stop)
        syntax = self._syntax if _offers_tools(request) or (self._syntax and self._syntax.whole) else None
        split = not begun and not (syntax and syntax.whole)
        return TextStream(
            self._vocabulary.piece,
            reasoning=ReasoningSplitter(opened=opened, marks=self._marks) if split else None,
            tools=syntax.parser(_new_call_id, request.tools) if syntax else None,
            stops=request.stop,
            visible=self._visible_with_calls if syntax else self._visible,
            several=request.parallel_tool_calls,
        )

    def _noted(self, *, without_template: bool) -> tuple[str, ...]:
        if self._fault is not None:
            return (f"{self._fault} Chats with this model fail; plain prompts work.",)
        if without_template:
            return ("The model has no chat template of its own; plain ChatML is used, which it may not know.",)
        return ()


def _offers_tools(request: GenerateRequest) -> bool:
    return bool(request.tools) and request.tool_choice.mode != "none"


def _new_call_id() -> str:
    return f"call_{secrets.token_hex(12)}"
