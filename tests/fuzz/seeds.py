"""Where the fuzzer begins: answers and requests as real ones look, made by code where all dialects say the same.

Each dialect's own writer tells one rich answer; beside it stand what vendors bend (DIALECTS sections 3.4 and 6).
"""

import json
from typing import Any

from trunkline.core.usage import Units
from trunkline.protocol import names, registry
from trunkline.protocol.dialect import AnswerFrame
from trunkline.protocol.events import (
    Event,
    Finish,
    FinishReason,
    ImageOutput,
    MessageEnd,
    MessageStart,
    ReasoningDelta,
    ReasoningEnd,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from trunkline.protocol.model import Proof

_FRAME = AnswerFrame(id="1", model="m", created=1, wants_usage=True, input_estimate=9)
_ANSWER: tuple[Event, ...] = (
    MessageStart("msg_1", Units(input=9)),
    ReasoningDelta("The user "),
    ReasoningDelta("asks."),
    ReasoningEnd(Proof(names.ANTHROPIC, "c2ln")),
    TextDelta("Let me look: "),
    TextDelta("é中😀"),
    ToolCallStart(0, "call_1", "weather", proof=Proof(names.GEMINI, "c2ln")),
    ToolCallDelta(0, '{"city":'),
    ToolCallDelta(0, '"Oslo","n":12345678901234567890}'),
    ToolCallEnd(0),
    ToolCallStart(1, "call_2", "now"),
    ToolCallDelta(1, "{}"),
    ToolCallEnd(1),
    UsageReport(Units(input=9, cache_read=3, output=12, reasoning=4)),
    Finish(FinishReason.TOOL_CALLS),
    MessageEnd(),
)
_PICTURE: tuple[Event, ...] = (
    MessageStart("msg_2"),
    TextDelta("Here:"),
    ImageOutput("iVBORw0KGgo=", "image/png"),
    Finish(FinishReason.LENGTH),
    MessageEnd(),
)


def _sse(*events: object, ends: str = "\n\n") -> bytes:
    """Return events of JSON, or of lines as they are."""
    lines = [event if isinstance(event, str) else "data: " + json.dumps(event) for event in events]
    return "".join([line + ends for line in lines]).encode()


def _chat(delta: object, finish: str | None = None, **members: object) -> dict[str, object]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **members}


def _typed(*events: dict[str, Any]) -> bytes:
    return b"".join([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events])


def _part(*parts: object, **members: object) -> dict[str, object]:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, **members}], "modelVersion": "up"}


_CALL = {"index": 1, "id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
_BENT = {
    names.OPENAI_CHAT: (
        _sse(
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            _chat({"role": "assistant", "reasoning_content": "hm"}),
            ": keep-alive",
            _chat({"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm", "index": 0}]}),
            _chat({"content": None, "tool_calls": [_CALL]}),
            _chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"b":'}}, {"index": 1, "id": "c2"}]}),
            _chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}]}),
            _chat({"content": "<think>a</think>b", "refusal": "no"}, "stop", x_groq={"usage": {"prompt_tokens": 1}}),
            _chat({}, None, usage={"prompt_tokens": "5", "completion_tokens": -1, "total_tokens": 6}),
            "data:[DONE]",
        ),
        _sse(
            {"error": {"message": "overloaded", "code": 502}, "choices": [{"finish_reason": "error"}]}, ends="\r\n\r\n"
        ),
        b'{"id":"c","choices":[{"message":{"content":"hi","function_call":{"name":"f","arguments":""}}}]}',
    ),
    names.OPENAI_RESPONSES: (
        _typed(
            {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}, "sequence_number": 0},
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs_1"}},
            {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "hm"},
            {"type": "response.output_item.done", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
            {
                "type": "response.output_item.added",
                "output_index": 1,
                "item": {"type": "custom_tool_call", "name": "f"},
            },
            {"type": "response.custom_tool_call_input.delta", "output_index": 1, "delta": "ls"},
            {"type": "response.refusal.delta", "output_index": 2, "content_index": 0, "delta": "no"},
            {
                "type": "response.incomplete",
                "response": {"incomplete_details": {"reason": "content_filter"}, "usage": {"input_tokens": 3}},
            },
        ),
        _typed({"type": "error", "code": "server_error", "message": "boom", "sequence_number": 1}),
        _typed({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}),
    ),
    names.ANTHROPIC: (
        _sse(
            {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 3, "output_tokens": 1}}},
            {"type": "ping"},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking", "data": "x"}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "server_tool_use", "id": "s"}},
            {"type": "content_block_start", "index": 3, "content_block": {"type": "tool_use", "id": "t", "input": {}}},
            {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
            {"type": "content_block_delta", "index": 3, "delta": {"type": "signature_delta", "signature": "x"}},
            {"type": "content_block_stop", "index": 3},
            {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {"output_tokens": 5}},
            "data: [DONE]",
            ends="\r\n\r\n",
        ),
        _typed({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    ),
    names.GEMINI: (
        _sse(
            _part({"text": "hm", "thought": True}),
            _part({"functionCall": {"name": "f", "args": {"n": 1.0}}, "thoughtSignature": "c2ln"}),
            _part({"executableCode": {"language": "PYTHON", "code": "1"}}, {"text": "", "thoughtSignature": "c2ln"}),
            {"candidates": [{"finishReason": "SAFETY", "finishMessage": "no", "index": 1}]},
            {**_part(finishReason="STOP"), "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 2}},
        ),
        _sse({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}),
        _sse([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "37s"}]}}]),
    ),
}


def streams(dialect: str) -> tuple[bytes, ...]:
    """Return streams of a dialect, and bodies that some providers send in their place."""
    told = []
    for answer in (_ANSWER, _PICTURE):
        writer = registry.CLIENTS[dialect].event_writer(_FRAME)
        told.append(b"".join([writer.write(event) for event in answer]))
    return (*told, *_BENT[dialect], b"<html>502 Bad Gateway</html>", b"\xef\xbb\xbfdata: null\n\ndata:\n\n")


def answers(dialect: str) -> tuple[bytes, ...]:
    """Return whole answers of a dialect, and what a stream holds in the place of one."""
    told = tuple(registry.CLIENTS[dialect].write_answer(answer, _FRAME) for answer in (_ANSWER, _PICTURE))
    frames = tuple(line[6:] for line in b"\n".join(_BENT[dialect]).split(b"\n") if line.startswith(b"data: "))
    return (*told, *frames)


_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": ["string", "null"], "format": "x"}, "n": {"const": 1}, "r": {"$ref": "#/$defs/r"}},
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"r": {"type": "array", "items": {"anyOf": [{"type": "integer", "minimum": 0}, {"$ref": "#/$defs/r"}]}}},
}
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB"
_CHAT_REQUEST = {
    "model": "m",
    "stream": True,
    "stream_options": {"include_usage": True},
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "é"}], "name": "ann"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{_PIXEL}"}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "developer", "content": "Now in French."},
        {"role": "user", "content": "and?"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": _SCHEMA, "strict": True}},
        {"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}},
    ],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": _SCHEMA}},
    "max_completion_tokens": 100,
    "temperature": 1.5,
    "top_p": 0.5,
    "stop": ["END"],
    "seed": 7,
    "reasoning_effort": "high",
    "n": 1,
    "logit_bias": {},
    "metadata": {"a": "b"},
    "user": "u",
    "prompt_cache_key": "k",
}
_RESPONSES_REQUEST = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "é"}, {"type": "input_image", "image_url": "http://x"}],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "x",
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": []}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "sunny"}]},
        {"type": "custom_tool_call", "call_id": "c2", "name": "sh", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "a b"},
        {
            "role": "user",
            "content": [{"type": "input_file", "file_data": "data:text/plain;base64,AAAA", "filename": "a"}],
        },
    ],
    "tools": [
        {"type": "function", "name": "f", "parameters": _SCHEMA, "strict": False},
        {"type": "custom", "name": "sh", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "text": {"format": {"type": "json_schema", "name": "s", "schema": _SCHEMA}, "verbosity": "low"},
    "reasoning": {"effort": "high", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "parallel_tool_calls": False,
    "max_output_tokens": 100,
}
_ANTHROPIC_REQUEST = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {"role": "user", "content": "é"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "c2ln"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 12345678901234567890}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "x"}],
                },
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": _PIXEL}},
                {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}, "title": "a"},
                {"type": "search_result", "source": "x", "title": "a", "content": [{"type": "text", "text": "x"}]},
            ],
        },
    ],
    "tools": [{"name": "f", "input_schema": _SCHEMA}, {"type": "web_search_20250305", "name": "web_search"}],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": _SCHEMA}},
    "stop_sequences": ["END"],
    "top_k": 5,
    "metadata": {"user_id": "u"},
}
_GEMINI_REQUEST = {
    "system_instruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "é"}, {"inlineData": {"mimeType": "image/png", "data": _PIXEL}}]},
        {
            "role": "model",
            "parts": [{"text": "hm", "thought": True}, {"functionCall": {"name": "f", "args": {"a": 1.0}}}],
        },
        {"parts": [{"function_response": {"name": "f", "response": {"output": "sunny"}}}]},
        {"role": "user", "parts": [{"fileData": {"fileUri": "https://x/a.pdf", "mimeType": "application/pdf"}}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": _SCHEMA}]}, {"googleSearch": {}}],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
    "generationConfig": {
        "temperature": 1.0,
        "maxOutputTokens": 100,
        "stop_sequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": _SCHEMA,
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
    },
    "safetySettings": [{"category": "x", "threshold": "BLOCK_NONE"}],
}
_REQUESTS: dict[str, dict[str, Any]] = {
    names.OPENAI_CHAT: _CHAT_REQUEST,
    names.OPENAI_RESPONSES: _RESPONSES_REQUEST,
    names.ANTHROPIC: _ANTHROPIC_REQUEST,
    names.GEMINI: _GEMINI_REQUEST,
}
_HISTORIES = ("messages", "input", "contents")


def requests(dialect: str) -> tuple[bytes, ...]:
    """Return a request with everything in it, and small ones with one turn or one field of it each."""
    whole = _REQUESTS[dialect]
    history = next(name for name in _HISTORIES if name in whole)
    first = {name: value for name, value in whole.items() if name in {"model", "max_tokens"}}
    turns = [{**first, history: whole[history][:count]} for count in range(1, len(whole[history]) + 1)]
    fields = [
        {**first, history: whole[history][:2], name: value}
        for name, value in whole.items()
        if name not in first and name != history
    ]
    return tuple(json.dumps(body, ensure_ascii=False).encode() for body in (whole, *turns, *fields))


FORM_TYPE = "multipart/form-data; boundary=b0"
FORMS = (
    b"\r\n".join(
        [
            *(b"--b0", b'Content-Disposition: form-data; name="model"', b"", b"up"),
            *(
                b"--b0",
                b'Content-Disposition: form-data; name="file"; filename="a.wav"',
                b"Content-Type: audio/wav",
                b"",
            ),
            b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00",
            *(b"--b0", b'content-disposition: form-data; name="stream"', b"", b"true"),
            *(b"--b0--", b""),
        ]
    ),
    b"\r\n".join(
        [
            *(b"--b0 ", b'Content-Disposition: form-data; name="prompt"', b"", b"a cat"),
            *(b"--b0", b'Content-Disposition: form-data; name="image[]"; filename="a\\".png"', b"", b"\x89PNG\r\n"),
            *(b"--b0", b"Content-Disposition: form-data; name=n; filename*=UTF-8''a", b"", b"2"),
            b"--b0--",
        ]
    ),
)
