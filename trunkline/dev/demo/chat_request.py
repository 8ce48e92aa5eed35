"""Chat requests as the demo upstream reads them, and what it refuses as OpenAI does. Pure; used by `dev.demo.chat`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trunkline.dev.demo import openai
from trunkline.dev.demo.request import ANY_TOOL, NO_TOOLS, Asked, RequestError, SpeechMaker
from trunkline.dev.demo.script import Script


class Part(msgspec.Struct):
    """One part of a message's content; what is not text counts nothing."""

    text: str | None = None


class Named(msgspec.Struct):
    """A function called or chosen, or a custom tool."""

    name: str
    arguments: str = ""


class ToolCall(msgspec.Struct):
    """A call in an assistant's message."""

    id: str
    function: Named | None = None
    custom: Named | None = None


class Message(msgspec.Struct):
    """One message; ``prefix`` is DeepSeek's: the last one, of the assistant, begins the answer."""

    role: str = ""
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str = ""
    prefix: bool = False


class FunctionTool(msgspec.Struct):
    """A function that may be called."""

    name: str
    parameters: dict[str, Any] | None = None


class Tool(msgspec.Struct):
    """One tool."""

    type: str
    function: FunctionTool | None = None


class Choice(msgspec.Struct):
    """The choice of a single tool."""

    type: str
    function: Named | None = None
    custom: Named | None = None


class NamedSchema(msgspec.Struct):
    """See OpenAI's reference."""

    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct):
    """See OpenAI's reference."""

    type: str
    json_schema: NamedSchema | None = None


class StreamOptions(msgspec.Struct):
    """See OpenAI's reference."""

    include_usage: bool = False


class ChatBody(msgspec.Struct):
    """What is read of a request's body."""

    messages: list[Message]
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Choice | None = None
    response_format: ResponseFormat | None = None
    trunkline_demo: Script | None = None


def asked(body: ChatBody, model: str, speech: SpeechMaker) -> Asked:
    """Return what a request asks for.

    Raises:
        RequestError: OpenAI would refuse it.
    """
    words = 0
    has_calls = False
    for message in body.messages:
        content = message.content
        if isinstance(content, str):
            words += len(content.split())
        elif content is not None:
            words += sum([len(part.text.split()) for part in content if part.text])
        if message.tool_calls is not None or message.role == "tool":
            has_calls = True
    if has_calls:
        _check_calls(body.messages)
    limit = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    begun = _begun(body.messages)
    if body.tools is None and body.response_format is None:
        return Asked(model, speech, words, body.stream, limit, include_usage, body.trunkline_demo, begun=begun)
    schema = _schema(body)
    tools, choice = _tools(body)
    said = _said(body.messages[-1]) if body.messages else ""
    return Asked(
        model,
        speech,
        words,
        body.stream,
        limit,
        include_usage,
        body.trunkline_demo,
        tools,
        choice,
        said,
        schema,
        begun=begun,
    )


def _check_calls(messages: list[Message]) -> None:
    """Check that each call has its result right behind it, and each result its call."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                raise RequestError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    f"'tool_calls'; there is no call '{message.tool_call_id}'.",
                    param=f"messages.[{index}].role",
                )
            open_calls.remove(message.tool_call_id)
            continue
        _check_answered(open_calls, index)
        if message.tool_calls is not None and not message.tool_calls:
            raise RequestError(
                f"Invalid 'messages[{index}].tool_calls': empty array.", param=f"messages[{index}].tool_calls"
            )
        open_calls = [call.id for call in message.tool_calls or ()]
    _check_answered(open_calls, len(messages))


def _check_answered(calls: list[str], index: int) -> None:
    if calls:
        raise RequestError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(calls)}",
            param=f"messages.[{index}].role",
        )


def _tools(body: ChatBody) -> tuple[Mapping[str, Any], str]:
    """Return the functions' schemas by name, and the choice among them."""
    found: dict[str, Any] = {}
    for index, tool in enumerate(body.tools or ()):
        function = tool.function
        if tool.type == "function" and function is None:
            param = f"tools[{index}].function"
            raise RequestError(
                f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
            )
        if function is not None:
            openai.check_name(function.name, f"tools[{index}].function.name")
            found[function.name] = function.parameters or {}
    match body.tool_choice:
        case Choice(function=Named(name=name)):
            if name not in found:
                raise RequestError(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
            return found, name
        case "none":
            return NO_TOOLS, ""
        case "required":
            return found, ANY_TOOL if found else ""
        case _:
            return found, ""


def _schema(body: ChatBody) -> dict[str, Any] | None:
    form = body.response_format
    if form is None or form.type == "text":
        return None
    if form.type == "json_object":
        if not any("json" in text.lower() for message in body.messages for text in _texts(message)):
            raise RequestError(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                param="messages",
            )
        return {}
    if form.json_schema is None:
        param = "response_format.json_schema"
        raise RequestError(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return form.json_schema.schema or {}


def _texts(message: Message) -> list[str]:
    if isinstance(message.content, str):
        return [message.content]
    return [part.text for part in message.content or () if part.text]


def _begun(messages: list[Message]) -> str:
    """Return the answer's beginning that a request has, empty for none."""
    last = messages[-1] if messages else None
    return "".join(_texts(last)) if last is not None and last.prefix and last.role == "assistant" else ""


def _said(message: Message) -> str:
    return "".join(_texts(message)[-1:]) if message.role == "user" else ""
