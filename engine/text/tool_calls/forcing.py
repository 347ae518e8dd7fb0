"""Grammars of answers that have to be, or may be, calls of tools: the same for every syntax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.errors import Unsupported
from engine.text.grammar.calls import CallRules, answer_grammar
from engine.text.grammar.rules import prefixed
from engine.text.tool_calls.syntax import ToolCallSyntax
from engine.types import AnswerFormat, ToolCallDelta, ToolDefinition

MOST = 16
"""Calls that one answer can be made of, so that it comes to an end."""


def forced_calls(
    syntax: ToolCallSyntax,
    tools: Sequence[ToolDefinition],
    name: str | None,
    *,
    several: bool = True,
    tokens: Mapping[str, int],
) -> str:
    """The grammar of what follows `syntax.opening(name)`, in the prompt already: one call of `name`, or calls of any.

    Without `several`, it is one call in any case. `tokens` are the markers that are control tokens, with their ids.
    Raises `BadInput` for a strict schema that cannot be kept to, `Unsupported` where the syntax cannot name the tools.
    """
    rules = syntax.rules(tools, tokens)
    return rules.rules.text(_calls(syntax, rules, _writable(syntax, tools, name), named=name is not None, more=several))


def calls_or_answer(
    syntax: ToolCallSyntax,
    tools: Sequence[ToolDefinition],
    format: AnswerFormat,  # noqa: A002 - the field's name
    *,
    several: bool = True,
    tokens: Mapping[str, int],
) -> str:
    """The grammar of an answer that is of the form asked for, or calls tools. Raises as `forced_calls` does."""
    if format.kind == "grammar":
        raise Unsupported(
            "An answer cannot be given tools and a grammar of its own at once.",
            remedy="Leave out one of the two.",
            param="grammar",
        )
    rules = syntax.rules(tools, tokens)
    calls = _calls(syntax, rules, _writable(syntax, tools, None), named=False, more=several)
    begin, said = rules.word(syntax.opening(None)), rules.word(syntax.answer)
    answer = prefixed(answer_grammar(format), "answer-")
    return rules.rules.text(f"{said} answer-root | {begin} {calls}") + answer


def _calls(
    syntax: ToolCallSyntax, rules: CallRules, tools: Sequence[ToolDefinition], *, named: bool, more: bool
) -> str:
    """Calls of `tools`, from behind the opening; with `named` the head of the only one is in the prompt already."""
    form = syntax.form
    end, last, close = rules.markup(form.end), rules.markup(form.last), rules.markup(form.close)
    bodies = [syntax.body(rules, tool) for tool in tools]
    heads = [""] if named else [syntax.head(rules, tool.name) for tool in tools]
    calls = [f"{head} {body}".strip() for head, body in zip(heads, bodies, strict=True)]
    call = rules.rules.add("call", f"({' | '.join(calls)}) {end}".strip())
    if more and not named and form.following is not None:
        following = rules.rules.add("following", f"{rules.markup(form.following)} {call}")
        call = f"{call} {following}{{0,{MOST - 1}}}"
    return " ".join(part for part in (call, last, f"({close})?" if close else "") if part)


def _writable(syntax: ToolCallSyntax, tools: Sequence[ToolDefinition], name: str | None) -> list[ToolDefinition]:
    """The tools to choose from: those whose names a parser of `syntax` finds again."""
    wanted = [tool for tool in tools if name in (None, tool.name)]
    found = [tool for tool in wanted if _told(syntax, tool) == tool.name]
    if not found:
        names = ", ".join(repr(tool.name) for tool in wanted)
        raise Unsupported(
            f"This model cannot be made to call {names}.",
            meaning=f"Its way of writing calls ({syntax.name}) has no place for such a name.",
            remedy="Give the tool a name of letters, digits and underscores.",
            param="tools",
        )
    return found


def _told(syntax: ToolCallSyntax, tool: ToolDefinition) -> str | None:
    parser = syntax.parser(lambda: "id", (tool,))
    pieces = [*parser.feed(syntax.opening(tool.name)), *parser.feed("{")]
    return next((piece.name for piece in pieces if isinstance(piece, ToolCallDelta)), None)
