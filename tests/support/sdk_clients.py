"""The official Python SDKs with one face: a question in, what came of it out, whole and streamed.

Each speaks its own dialect at the same gateway; what they return is put side by side so that a test can say the same of
all. Errors are the SDKs' own: that they raise is part of what is tested.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import anthropic
import openai
from google import genai
from google.genai import types as google
from openai.lib.streaming.chat import ChatCompletionStreamState

from trunkline.protocol.names import ANTHROPIC, GEMINI, OPENAI_CHAT, OPENAI_RESPONSES

TIMEOUT_S = 20.0
RESPONSE_ENDS = {"response.completed", "response.incomplete"}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL, DESCRIPTION = "get_weather", "The weather of a city."


class Called(NamedTuple):
    """A tool call as a client got it."""

    id: str
    name: str
    arguments: dict[str, Any]


class Told(NamedTuple):
    """An answer as a client got it."""

    text: str
    reasoning: str
    calls: list[Called]
    finish: str
    input_tokens: int
    output_tokens: int
    raw: Any


class Question(NamedTuple):
    """What is asked.

    Attributes:
        model: public name.
        text: of the user.
        tool: whether the weather tool is offered.
        system: instructions.
        results: of an earlier answer's calls: the conversation goes on from there.
        earlier: that answer.
        image: of a picture, as base64 PNG.
        schema: of the answer's text.
        max_output: tokens at the most; 0 leaves it open.
    """

    model: str
    text: str = "How are you?"
    tool: bool = False
    system: str = ""
    results: Sequence[tuple[Called, str]] = ()
    earlier: Told | None = None
    image: str = ""
    schema: Mapping[str, Any] | None = None
    max_output: int = 0


class Client(Protocol):
    """An SDK."""

    error: type[Exception]

    def ask(self, question: Question, *, stream: bool) -> Told:
        """Ask, and return what came."""

    def close(self) -> None:
        """Close its connections."""


class ChatClient:
    """The openai SDK, chat completions."""

    error: type[Exception] = openai.APIError

    def __init__(self, base_url: str, key: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S)

    def close(self) -> None:
        """See `Client`."""
        self._sdk.close()

    def ask(self, question: Question, *, stream: bool) -> Told:
        """See `Client`."""
        messages: list[Any] = [{"role": "system", "content": question.system}] if question.system else []
        content: Any = question.text
        if question.image:
            url = {"url": f"data:image/png;base64,{question.image}"}
            content = [{"type": "text", "text": question.text}, {"type": "image_url", "image_url": url}]
        messages.append({"role": "user", "content": content})
        if question.earlier is not None:
            messages.append(question.earlier.raw.choices[0].message.model_dump(exclude_none=True))
            for call, result in question.results:
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        body: dict[str, Any] = {"model": question.model, "messages": messages}
        if question.max_output:
            body["max_tokens"] = question.max_output
        if question.tool:
            function = {"name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA}
            body["tools"] = [{"type": "function", "function": function}]
        if question.schema:
            schema = {"name": "answer", "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if stream:
            # The SDK's own accumulator, without its last step, which raises where an answer was cut by its length.
            state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
            for chunk in self._sdk.chat.completions.create(**body, stream=True, stream_options={"include_usage": True}):
                state.handle_chunk(chunk)
            completion: Any = state.current_completion_snapshot
        else:
            completion = self._sdk.chat.completions.create(**body)
        (choice,) = completion.choices
        calls = [
            Called(call.id, call.function.name, json.loads(call.function.arguments))
            for call in choice.message.tool_calls or ()
        ]
        usage = completion.usage
        reasoning = getattr(choice.message, "reasoning_content", None) or ""
        return Told(
            choice.message.content or "",
            reasoning,
            calls,
            choice.finish_reason,
            usage.prompt_tokens,
            usage.completion_tokens,
            completion,
        )


class ResponsesClient:
    """The openai SDK, Responses."""

    error: type[Exception] = openai.APIError

    def __init__(self, base_url: str, key: str) -> None:
        self._sdk = openai.OpenAI(base_url=f"{base_url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S)

    def close(self) -> None:
        """See `Client`."""
        self._sdk.close()

    def ask(self, question: Question, *, stream: bool) -> Told:
        """See `Client`."""
        content: list[Any] = [{"type": "input_text", "text": question.text}]
        if question.image:
            content.append({"type": "input_image", "image_url": f"data:image/png;base64,{question.image}"})
        items: list[Any] = [{"role": "user", "content": content}]
        if question.earlier is not None:
            items += [item.model_dump(exclude_none=True) for item in question.earlier.raw.output]
            for call, result in question.results:
                items.append({"type": "function_call_output", "call_id": call.id, "output": result})
        body: dict[str, Any] = {"model": question.model, "input": items}
        body["include"] = ["reasoning.encrypted_content"]
        if question.max_output:
            body["max_output_tokens"] = question.max_output
        if question.system:
            body["instructions"] = question.system
        if question.tool:
            body["tools"] = [
                {"type": "function", "name": TOOL, "description": DESCRIPTION, "parameters": SCHEMA, "strict": False}
            ]
        if question.schema:
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": question.schema}}
        response: Any
        if stream:
            with self._sdk.responses.stream(**body) as events:
                last: Any = next(event for event in events if event.type in RESPONSE_ENDS)
                response = last.response
        else:
            response = self._sdk.responses.create(**body)
        calls = [
            Called(item.call_id, item.name, json.loads(item.arguments))
            for item in response.output
            if item.type == "function_call"
        ]
        reasoning = "".join(
            part.text
            for item in response.output
            if item.type == "reasoning"
            for part in (*item.summary, *(item.content or ()))
        )
        finish = response.status
        if response.incomplete_details is not None:
            finish = response.incomplete_details.reason
        usage = response.usage
        return Told(response.output_text, reasoning, calls, finish, usage.input_tokens, usage.output_tokens, response)


class AnthropicClient:
    """The anthropic SDK."""

    error: type[Exception] = anthropic.APIError

    def __init__(self, base_url: str, key: str) -> None:
        self._sdk = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=TIMEOUT_S)

    def close(self) -> None:
        """See `Client`."""
        self._sdk.close()

    def ask(self, question: Question, *, stream: bool) -> Told:
        """See `Client`."""
        content: list[Any] = [{"type": "text", "text": question.text}]
        if question.image:
            source = {"type": "base64", "media_type": "image/png", "data": question.image}
            content.append({"type": "image", "source": source})
        messages: list[Any] = [{"role": "user", "content": content}]
        if question.earlier is not None:
            blocks = [block.model_dump(exclude_none=True) for block in question.earlier.raw.content]
            messages.append({"role": "assistant", "content": blocks})
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": result} for call, result in question.results
            ]
            if results:
                messages.append({"role": "user", "content": results})
        body: dict[str, Any] = {
            "model": question.model,
            "max_tokens": question.max_output or 4096,
            "messages": messages,
        }
        if question.system:
            body["system"] = question.system
        if question.tool:
            body["tools"] = [{"name": TOOL, "description": DESCRIPTION, "input_schema": SCHEMA}]
        if question.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": question.schema}}
        message: Any
        if stream:
            with self._sdk.messages.stream(**body) as events:
                message = events.get_final_message()
        else:
            message = self._sdk.messages.create(**body)
        text = "".join(block.text for block in message.content if block.type == "text")
        reasoning = "".join(block.thinking for block in message.content if block.type == "thinking")
        calls = [Called(block.id, block.name, block.input) for block in message.content if block.type == "tool_use"]
        usage = message.usage
        told = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return Told(text, reasoning, calls, message.stop_reason, told, usage.output_tokens, message)


class GeminiClient:
    """The google-genai SDK."""

    error: type[Exception] = genai.errors.APIError

    def __init__(self, base_url: str, key: str) -> None:
        options = google.HttpOptions(base_url=base_url, timeout=int(TIMEOUT_S * 1000))
        self._sdk = genai.Client(api_key=key, http_options=options)

    def close(self) -> None:
        """See `Client`."""
        self._sdk.close()

    def ask(self, question: Question, *, stream: bool) -> Told:
        """See `Client`."""
        parts: list[Any] = [{"text": question.text}]
        if question.image:
            parts.append({"inline_data": {"mime_type": "image/png", "data": question.image}})
        contents: list[Any] = [{"role": "user", "parts": parts}]
        if question.earlier is not None:
            contents.append({"role": "model", "parts": question.earlier.raw})
            results = [
                {"function_response": {"id": call.id or None, "name": call.name, "response": {"output": result}}}
                for call, result in question.results
            ]
            if results:
                contents.append({"role": "user", "parts": results})
        config: dict[str, Any] = {"max_output_tokens": question.max_output} if question.max_output else {}
        if question.system:
            config["system_instruction"] = question.system
        if question.tool:
            declaration = {"name": TOOL, "description": DESCRIPTION, "parameters_json_schema": SCHEMA}
            config["tools"] = [{"function_declarations": [declaration]}]
        if question.schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": question.schema}
        asked: dict[str, Any] = {"model": question.model, "contents": contents, "config": config}
        models = self._sdk.models
        answers = list(models.generate_content_stream(**asked)) if stream else [models.generate_content(**asked)]
        found = [
            part
            for answer in answers
            for candidate in answer.candidates or ()
            for part in (candidate.content.parts or () if candidate.content else ())
        ]
        calls = [
            Called(part.function_call.id or "", part.function_call.name or "", dict(part.function_call.args or {}))
            for part in found
            if part.function_call
        ]
        last = answers[-1]
        usage = last.usage_metadata
        assert usage is not None
        assert last.candidates
        assert last.candidates[0].finish_reason is not None
        return Told(
            "".join(part.text for part in found if part.text and not part.thought),
            "".join(part.text for part in found if part.text and part.thought),
            calls,
            last.candidates[0].finish_reason.value,
            usage.prompt_token_count or 0,
            (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            found,
        )


CLIENTS: dict[str, Callable[[str, str], Client]] = {
    OPENAI_CHAT: ChatClient,
    OPENAI_RESPONSES: ResponsesClient,
    ANTHROPIC: AnthropicClient,
    GEMINI: GeminiClient,
}
"""By the dialect that each speaks; called with the gateway's bare base URL and a key."""
