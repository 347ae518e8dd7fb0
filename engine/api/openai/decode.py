"""From the body of a chat completion request to the engine's own types; what is wrong is said with its field's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from engine.api.openai.bodies import parse
from engine.api.openai.lora import adapters
from engine.api.openai.sampling import (
    answer_format,
    choices,
    fit_for_frames,
    max_tokens,
    most_drafted,
    sampling,
    stop,
    top_logprobs,
)
from engine.api.openai.wire import Call, ChatBody, Choice, Tool, WireMessage
from engine.errors import BadInput, Unsupported
from engine.types import GenerateRequest, Message, Role, ToolCall, ToolChoice, ToolDefinition

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}

_decoder = msgspec.json.Decoder(ChatBody)


class ChatRequest(Struct, frozen=True, kw_only=True):
    """A decoded request: what to generate, and how to answer."""

    model: str
    """As the client named it; empty means the active one."""
    request: GenerateRequest
    stream: bool = False
    include_usage: bool = False


def decode_chat(body: bytes) -> ChatRequest:
    """Decodes and checks a request. Raises `BadInput` or `Unsupported`, both with `param`."""
    chat = parse(body, _decoder)
    _refuse_unsupported(chat)
    options = chat.stream_options
    return ChatRequest(
        model=chat.model or "",
        stream=bool(chat.stream),
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        request=_request(chat),
    )


def conversation(
    messages: Sequence[WireMessage], tools: Sequence[Tool] | None
) -> tuple[tuple[Message, ...], tuple[ToolDefinition, ...]]:
    """Messages and tools, checked. Raises `BadInput` or `Unsupported`, both with `param`."""
    if not messages:
        raise BadInput(
            "The list of messages is empty.", remedy="Send at least one message, such as a user's.", param="messages"
        )
    told = tuple(_message(message, f"messages[{index}]") for index, message in enumerate(messages))
    return told, tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools or ()))


def _request(chat: ChatBody) -> GenerateRequest:
    messages, tools = conversation(chat.messages, chat.tools)
    return GenerateRequest(
        messages=messages,
        tools=tools,
        tool_choice=_tool_choice(chat.tool_choice, tools),
        parallel_tool_calls=chat.parallel_tool_calls is not False,
        sampling=sampling(chat),
        max_tokens=max_tokens(chat),
        stop=stop(chat.stop),
        ignore_eos=bool(chat.ignore_eos),
        format=answer_format(chat),
        top_logprobs=_top_logprobs(chat),
        n=choices(chat),
        most_drafted=most_drafted(chat),
        adapters=adapters(chat),
    )


def _refuse_unsupported(chat: ChatBody) -> None:
    if chat.functions or chat.function_call:
        raise Unsupported(
            "The fields functions and function_call were replaced by tools and tool_choice, and are not understood.",
            remedy="Send the functions as tools.",
            param="functions" if chat.functions else "function_call",
        )


def _top_logprobs(chat: ChatBody) -> int | None:
    wanted = top_logprobs(chat.top_logprobs, "top_logprobs")
    if wanted and not chat.logprobs:
        raise BadInput("top_logprobs wants logprobs to be true.", param="top_logprobs")
    return (wanted or 0) if chat.logprobs else None


def _message(message: WireMessage, param: str) -> Message:
    role = ROLES.get(message.role)
    if role is None:
        raise BadInput(
            f"{param}.role is {message.role!r}, which is unknown.",
            remedy=f"It is one of {', '.join(ROLES)}.",
            param=f"{param}.role",
        )
    return Message(
        role=role,
        content=_text(message.content, f"{param}.content"),
        reasoning=message.reasoning_content or "",
        tool_calls=tuple(
            _call(call, index, f"{param}.tool_calls[{index}]") for index, call in enumerate(message.tool_calls or ())
        ),
        tool_call_id=message.tool_call_id,
        name=message.name,
    )


def _text(content: Any, param: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    pieces = []
    for index, part in enumerate(content):
        if isinstance(part, str):
            pieces.append(part)
        elif part.type == "text":
            pieces.append(part.text or "")
        else:
            raise Unsupported(
                f"The model reads text only; {param}[{index}] is of type {part.type!r}.",
                remedy="Leave that part out.",
                param=f"{param}[{index}]",
            )
    return "\n".join(pieces)


def _call(call: Call, index: int, param: str) -> ToolCall:
    arguments = call.function.arguments
    if isinstance(arguments, dict):
        arguments = msgspec.json.encode(fit_for_frames(arguments, f"{param}.function.arguments")).decode()
    return ToolCall(id=call.id or f"call_{index}", name=call.function.name, arguments=arguments or "{}")


def _tool(tool: Tool, param: str) -> ToolDefinition:
    if tool.type != "function":
        raise Unsupported(f"{param}.type is {tool.type!r}; only functions are supported.", param=f"{param}.type")
    if tool.function is None:
        raise BadInput(f"The field {param}.function is missing.", param=f"{param}.function")
    if not tool.function.name:
        raise BadInput(f"{param}.function.name is empty.", param=f"{param}.function.name")
    return ToolDefinition(
        name=tool.function.name,
        description=tool.function.description or "",
        parameters=fit_for_frames(tool.function.parameters or {}, f"{param}.function.parameters"),
        strict=bool(tool.function.strict),
    )


def _tool_choice(choice: str | Choice | None, tools: Iterable[ToolDefinition]) -> ToolChoice:
    names = [tool.name for tool in tools]
    match choice:
        case None | "auto":
            return ToolChoice()
        case "none":
            return ToolChoice(mode="none")
        case "required" if names:
            return ToolChoice(mode="required")
        case Choice(type="function", function=function) if function is not None and function.name in names:
            return ToolChoice(mode="named", name=function.name)
        case Choice(type="function", function=function) if function is not None:
            what = f"tool_choice names {function.name!r}, which is not among the tools."
        case "required":
            what = "tool_choice asks for a tool, but the request has no tools."
        case _:
            what = "tool_choice is none of the choices that are understood."
    raise BadInput(
        what, remedy="Use 'auto', 'none', 'required', or the name of a function in tools.", param="tool_choice"
    )
